import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { ControlPlane } from './control-plane';
import type { CredentialStore } from './credential-store';
import { judgeAnswer, paceOf, retrySeconds } from './decision';

export interface LeaveDeps {
  controlPlane: ControlPlane;
  credentials: CredentialStore;
  /** Removes what the agent made on this machine. */
  removeAccount: () => Promise<void>;
  clock: Clock;
  logger: Logger;
}

const PAUSE_MS = 3000;

/**
 * Leaves the fleet. Repeats the request until the control plane has moved and wiped everything, then removes the management account and the
 * agent's state. Resolves true when this machine is free. Resolves false when `signal` aborted first, or when the control plane does not
 * know this machine.
 */
export async function leaveFleet(deps: LeaveDeps, signal: AbortSignal): Promise<boolean> {
  const credential = await deps.credentials.find();
  if (credential === undefined) {
    deps.logger.info('this machine is not enrolled');
    await forget(deps);
    return true;
  }
  for (let failures = 0; !signal.aborted;) {
    const answer = await deps.controlPlane.leave(credential, signal);
    if (judgeAnswer(answer) === 'retired' || (answer.kind === 'ok' && answer.value.left)) {
      await forget(deps);
      deps.logger.info('left: nothing of Orion remains but its program');
      return true;
    }
    if (judgeAnswer(answer) === 'unauthenticated') {
      deps.logger.error('the control plane does not know this node: ask an operator to retire it, then remove the state directory', {
        ...answer,
      });
      return false;
    }
    if (answer.kind === 'ok') {
      failures = 0;
      deps.logger.info('leaving, waiting for the control plane', { ...answer.value });
      await deps.clock.sleep(PAUSE_MS, signal);
    } else {
      failures += 1;
      deps.logger.warn('control plane out of reach or refusing, will be tried again', { ...answer, failures });
      await deps.clock.sleep(retrySeconds(answer, failures, { random: Math.random(), ...paceOf(0) }) * 1000, signal);
    }
  }
  return false;
}

// Remove the credential first: an agent that still runs here then ends, and does not create the account again.
async function forget({ credentials, removeAccount }: LeaveDeps): Promise<void> {
  await credentials.clear();
  await removeAccount();
}
