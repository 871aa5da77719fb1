import { transaction } from '../../db/transaction';
import { messageOf } from '../../lib/errors';
import { recordEvent } from '../../modules/audit';
import { judgeUse, listUses, type NodeUse, setUseBand, SHORT, shortageOf } from '../../modules/nodes';
import type { FlowContext } from '../support/context';

/** Keeps the nodes' bands of use up to date, beside the heartbeats: the answer to a heartbeat does not wait for it. */
export interface UseJudge {
  /** These nodes said something new about their load, memory or disk. */
  note(nodeIds: number[]): void;
}

/** A node that says more in between is judged once. */
const WINDOW_MS = 1_000;
const MAX_BATCH = 500;

/**
 * What is lost when the process dies comes again: agents repeat what they said after ten minutes. A node that another transaction holds, as a claim does for some
 * milliseconds, is judged with the next ones.
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

/** Those that another transaction holds. */
async function judgeAll(ctx: FlowContext, nodeIds: number[]): Promise<Set<number>> {
  const held = new Set<number>();
  for (const use of await listUses(ctx.db, nodeIds)) {
    if (judgeUse(use) !== use.before && !(await settle(ctx, use))) {
      held.add(use.nodeId);
    }
  }
  return held;
}

/** Going out of service for want of room, and coming back, are on record. */
function settle(ctx: FlowContext, use: NodeUse): Promise<boolean> {
  const { nodeId } = use;
  const band = judgeUse(use);
  return transaction(ctx.db, async (tx) => {
    const isWritten = await setUseBand(tx, use, band);
    if (isWritten && (band === SHORT || use.before === SHORT)) {
      await recordEvent(tx, { type: band === SHORT ? 'node.short' : 'node.roomy', actor: `node:${nodeId}`, nodeId, data: { reason: shortageOf({ ...use, before: band }) } });
    }
    return isWritten;
  });
}
