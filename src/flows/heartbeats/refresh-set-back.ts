import { type Tx, transaction } from '../../db/transaction';
import { hasEventLately, recordEvent } from '../../modules/audit';
import { findAstray, type LocalEnd, refreshPlacement } from '../../modules/leases';
import type { FlowContext } from '../support/context';

/** Differences up to this come from the network, and provisioning keeps them (playbooks/node/orion_account.py). */
const TOLERANCE_SECONDS = 10;

/** If an account is off by the same amount again within this time, the refresh did not help, and another one would not help either. */
const AGAIN_SECONDS = 300;

/** Whether the node would end this account at another time than its lease ends. */
export const isAstray = (
  { username, remainingSeconds }: { username: string; remainingSeconds: number },
  endsIn: ReadonlyMap<string, number>,
): boolean => remainingSeconds > 0 && Math.abs((endsIn.get(username) ?? remainingSeconds) - remainingSeconds) > TOLERANCE_SECONDS;

const wasTried = (tx: Tx, { leaseId, jumpSeconds }: { leaseId: number; jumpSeconds: number }): Promise<boolean> =>
  hasEventLately(tx, {
    type: 'node.clock_jumped',
    of: 'lease',
    id: leaseId,
    is: ({ seconds }) => Math.abs(Number(seconds) - jumpSeconds) <= TOLERANCE_SECONDS,
    seconds: AGAIN_SECONDS,
  });

/**
 * Makes an account due after its node's clock was set. The times in sshd, in the shadow entry and in the agent's record are then wrong.
 *
 * A scheduler refreshes the account, as after an extension, which corrects all three. The jump is recorded as an event of the lease.
 */
export async function refreshSetBack(ctx: FlowContext, account: Omit<LocalEnd, 'toleranceSeconds'>): Promise<void> {
  const { nodeId } = account;
  const jump = await transaction(ctx.db, async (tx) => {
    const found = await findAstray(tx, { ...account, toleranceSeconds: TOLERANCE_SECONDS });
    if (!found || (await wasTried(tx, found))) {
      return undefined;
    }
    await refreshPlacement(tx, found.leaseId);
    await recordEvent(tx, {
      type: 'node.clock_jumped',
      actor: `node:${nodeId}`,
      nodeId,
      leaseId: found.leaseId,
      userId: found.userId,
      data: { seconds: found.jumpSeconds },
    });
    return found;
  });
  if (jump) {
    ctx.logger.warn('clock of a node jumped', { nodeId, leaseId: jump.leaseId, seconds: jump.jumpSeconds });
  }
}
