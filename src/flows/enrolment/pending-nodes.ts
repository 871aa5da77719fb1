import { type Tx, transaction } from '../../db/transaction';
import { rangesOf } from '../../lib/address-key';
import { OrionError } from '../../lib/errors';
import { recordEvent } from '../../modules/audit';
import type { SweepJob } from '../../modules/jobs';
import { countPending, listStalePending, lockNode, type Node, type PendingLimits, removePending } from '../../modules/nodes';
import { forgetTunnel } from '../../modules/tunnels';
import type { FlowContext } from '../support/context';

/** Share of the waiting places that one IPv4 address or IPv6 /64 may use, so that a few networks cannot fill them all. */
const SHARE_OF_ONE = 1 / 8;
const RETRY_SECONDS = 60;
const LIMITS: PendingLimits = { silentSeconds: 3600, waitSeconds: 7 * 86_400 };
const BATCH = 50;
const PERIOD_SECONDS = 60;

export const pendingJob: SweepJob<FlowContext> = {
  name: 'pending',
  description: 'removes machines that waited for approval for too long or in silence',
  period: () => PERIOD_SECONDS,
  sweep: expirePending,
};

export interface Newcomer extends Pick<Node, 'status'> {
  before: Node | undefined;
  /** The source address of the request. */
  from: string;
}

/**
 * Decides whether one more machine may wait for approval. Anybody can request that, so the number of waiting machines is limited, in all
 * and for each source network. Throws too_many_requests. Returns the key that the machine is counted under, or null if it is no new waiting
 * machine.
 */
export async function admitPending(tx: Tx, { settings }: FlowContext, { before, status, from }: Newcomer): Promise<string | null> {
  if (before || status !== 'pending') {
    return null;
  }
  const ranges = rangesOf(from);
  const max = settings.maxPendingNodes;
  const waiting = await countPending(tx, ranges);
  const crowded = ranges.some(({ share }, i) => (waiting.from[i] ?? 0) >= Math.ceil(max * SHARE_OF_ONE) * share);
  if (crowded || waiting.all >= max) {
    const where = crowded ? ' from this network' : '';
    throw new OrionError(
      'too_many_requests',
      `Too many machines${where} wait for an operator's approval. Enrol with a join token (\`orion token create\`), or wait until an operator has looked at them.`,
      {
        retryAfterSeconds: RETRY_SECONDS,
      },
    );
  }
  return ranges[0].key;
}

/**
 * Whether a registration is recorded as an event. A machine that nobody has approved may register any number of times. Only its first
 * registration and its admission are recorded.
 */
export const isWorthAnEvent = (before: Node | undefined, now: Pick<Node, 'status'>): boolean =>
  now.status === 'unknown' || before?.status !== now.status;

/** Deletes a locked node that was never approved. */
export async function forgetPending(tx: Tx, nodeId: number): Promise<void> {
  await forgetTunnel(tx, nodeId);
  await removePending(tx, nodeId);
}

/** Deletes pending nodes whose agents are silent or that have waited for too long. Their machines may enrol again. */
export async function expirePending(ctx: FlowContext): Promise<'more' | 'done'> {
  const stale = await listStalePending(ctx.db, LIMITS, BATCH);
  for (const nodeId of stale) {
    await transaction(ctx.db, async (tx) => {
      const node = await lockNode(tx, nodeId);
      if (node?.status === 'pending') {
        await forgetPending(tx, nodeId);
        const { hostname, address, registeredAt } = node;
        await recordEvent(tx, {
          type: 'node.expired',
          actor: ctx.actor,
          nodeId,
          data: { hostname, address, registered_at: registeredAt.toISOString() },
        });
      }
    });
  }
  if (stale.length > 0) {
    ctx.logger.info('pending nodes expired', { nodeIds: stale });
  }
  return stale.length === BATCH ? 'more' : 'done';
}
