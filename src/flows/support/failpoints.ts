import { channel } from 'node:diagnostics_channel';

/**
 * The failpoints of the flows: moments at which a test stops, kills or disconnects the process. `begin`: nothing is written yet. `commit`:
 * all is written, in a transaction that is still open. A lone rent of one node never reaches `rent.commit`, because its COMMIT is sent
 * together with its writes. The other failpoints follow a COMMIT.
 *
 * They are published on the channel `orion:step` of node:diagnostics_channel, which does nothing without a listener. Production has none;
 * tests load a listener before the program.
 */
export type Step =
  | 'register.begin'
  | 'register.commit'
  | 'register.done'
  | 'rent.begin'
  | 'rent.commit'
  | 'rent.reserved'
  | 'rent.answering'
  | 'placement.claimed'
  | 'placement.making'
  | 'placement.made'
  | 'placement.commit'
  | 'placement.completed'
  | 'extend.begin'
  | 'extend.commit'
  | 'extend.done'
  | 'release.begin'
  | 'release.commit'
  | 'release.done'
  | 'expire.begin'
  | 'expire.commit'
  | 'expire.done'
  | 'migrate.begin'
  | 'migrate.commit'
  | 'migrate.moved'
  | 'wipe.claimed'
  | 'wipe.wiped'
  | 'wipe.verified'
  | 'wipe.commit'
  | 'wipe.done'
  | 'checkpoint.claimed'
  | 'checkpoint.stored'
  | 'checkpoint.commit'
  | 'checkpoint.done'
  | 'scale.begin'
  | 'scale.commit'
  | 'scale.decided'
  | 'seal.commit'
  | 'seal.sealed'
  | 'seal.signed';

const steps = channel('orion:step');

/** Publishes that a failpoint was reached. A listener may block or end the process here. */
export function failpoint(step: Step): void {
  if (steps.hasSubscribers) {
    steps.publish({ step });
  }
}
