import { transaction } from '../../db/transaction';
import { messageOf } from '../../lib/errors';
import { recordEvent } from '../../modules/audit';
import { judgeUse, listUses, type NodeUse, setUseBand, SHORT, shortageOf } from '../../modules/nodes';
import type { FlowContext } from '../support/context';

/** Keeps the use band of each node up to date, in the background. The answer to a heartbeat does not wait for it. */
export interface UseJudge {
  /** Records that these nodes reported changed vitals: load, memory or disk. */
  note(nodeIds: number[]): void;
}

/** A node that reports several times within this time is judged once. */
const WINDOW_MS = 1_000;
const MAX_BATCH = 500;

/**
 * Creates a use judge. If the process dies, what it noted is lost, but agents repeat their vitals after ten minutes. A node that another
 * transaction has locked, as a claim does for some milliseconds, is judged with the next ones.
 */
export function createUseJudge(ctx: FlowContext): UseJudge {
  const noted = new Set<number>();
  let isWaiting = false;
  const judgeNoted = async (): Promise<void> => {
    const nodeIds = [...noted];
    noted.clear();
    for (let at = 0; at < nodeIds.length; at += MAX_BATCH) {
      (await judgeAll(ctx, nodeIds.slice(at, at + MAX_BATCH))).forEach((held) => noted.add(held));
    }
  };
  const wait = (): void => {
    if (isWaiting || noted.size === 0) {
      return;
    }
    isWaiting = true;
    ctx.clock.after(WINDOW_MS, () => {
      judgeNoted()
        .catch((error: unknown) => ctx.logger.warn('use of nodes could not be judged', { reason: messageOf(error) }))
        .finally(() => {
          isWaiting = false;
          wait();
        });
    });
  };
  return {
    note: (nodeIds) => {
      nodeIds.forEach((nodeId) => noted.add(nodeId));
      wait();
    },
  };
}

/** Judges the use of these nodes. Returns the nodes that another transaction has locked. */
async function judgeAll(ctx: FlowContext, nodeIds: number[]): Promise<Set<number>> {
  const held = new Set<number>();
  for (const use of await listUses(ctx.db, nodeIds)) {
    if (judgeUse(use) !== use.before && !(await writeBand(ctx, use))) {
      held.add(use.nodeId);
    }
  }
  return held;
}

/**
 * Writes the band of a node. Records an event when the node becomes short of disk or memory, and when it has recovered. False: another
 * transaction has locked the node.
 */
function writeBand(ctx: FlowContext, use: NodeUse): Promise<boolean> {
  const { nodeId } = use;
  const band = judgeUse(use);
  return transaction(ctx.db, async (tx) => {
    const isWritten = await setUseBand(tx, use, band);
    if (isWritten && (band === SHORT || use.before === SHORT)) {
      await recordEvent(tx, {
        type: band === SHORT ? 'node.short' : 'node.roomy',
        actor: `node:${nodeId}`,
        nodeId,
        data: { reason: shortageOf({ ...use, before: band }) },
      });
    }
    return isWritten;
  });
}
