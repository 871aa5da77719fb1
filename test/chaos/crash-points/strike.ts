import type { Step } from '../../../src/flows/support/failpoints';
import { systemClock } from '../../../src/lib/clock';
import type { CommitFate } from '../../lab';
import type { Replica } from '../../support/replica';
import { CLAIM_SECONDS } from './stage';

export const BLOWS = ['kill', 'stop', 'reset_before_commit', 'reset_after_commit'] as const;

/**
 * What befalls a process that stands at a step: it is killed outright; it is stopped and goes on when its claims have expired; its next
 * COMMIT does not reach the database; or it does, and the answer is lost.
 */
export type Blow = (typeof BLOWS)[number];

/** How long over the claims' limit a stopped process stays stopped. */
const OVER_SECONDS = 0.7;

/** @param goOn lets the process go on from where it stands */
export async function strike(replica: Replica, { blow, step }: { blow: Blow; step: Step }, goOn: () => void): Promise<void> {
  switch (blow) {
    case 'kill':
      await replica.kill9();
      return;
    case 'stop':
      replica.pause();
      await systemClock.sleep((CLAIM_SECONDS + OVER_SECONDS) * 1000);
      replica.resume();
      goOn();
      return;
    case 'reset_before_commit':
    case 'reset_after_commit':
      cutNextCommit(replica, { fate: blow === 'reset_before_commit' ? 'cut_before' : 'cut_after', within: step.endsWith('.commit') });
      goOn();
      return;
  }
}

/** Outside a transaction the connections that are open, idle or not, are lost as well. */
function cutNextCommit({ proxy }: Replica, { fate, within }: { fate: CommitFate; within: boolean }): void {
  if (!proxy) {
    throw new Error('the replica has no proxy to its database');
  }
  if (!within) {
    proxy.cutAll();
  }
  proxy.decide = () => {
    proxy.decide = () => 'pass';
    return fate;
  };
}
