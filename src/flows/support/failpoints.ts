import { channel } from 'node:diagnostics_channel';

/**
 * The moments of the flows at which it matters that a process may die, stand still or lose the database. `begin`: nothing is written yet;
 * `commit`: all is written, in a transaction that is still open (a lone rent of one node never stands there: its COMMIT travels with what it writes); the others follow a commit. Published on the channel `orion:step` of
 * node:diagnostics_channel, which does nothing unless something listens: in production nothing does, tests load a listener before the program.
 */
export type Step =
  | 'register.begin' | 'register.commit' | 'register.done'
  | 'rent.begin' | 'rent.commit' | 'rent.reserved' | 'rent.answering'
  | 'placement.claimed' | 'placement.making' | 'placement.made' | 'placement.commit' | 'placement.settled'
  | 'extend.begin' | 'extend.commit' | 'extend.done'
  | 'release.begin' | 'release.commit' | 'release.done'
  | 'expire.begin' | 'expire.commit' | 'expire.done'
  | 'migrate.begin' | 'migrate.commit' | 'migrate.moved'
  | 'wipe.claimed' | 'wipe.wiped' | 'wipe.verified' | 'wipe.commit' | 'wipe.done'
  | 'checkpoint.claimed' | 'checkpoint.stored' | 'checkpoint.commit' | 'checkpoint.done'
  | 'scale.begin' | 'scale.commit' | 'scale.decided';

const steps = channel('orion:step');

/** Says that a step was reached. A listener may hold the process here, or end it. */
export function failpoint(step: Step): void {
  if (steps.hasSubscribers) {
    steps.publish({ step });
  }
}
