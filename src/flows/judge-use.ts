import { transaction } from '../db/transaction';
import { createBatcher, fulfilled } from '../lib/batcher';
import { messageOf } from '../lib/errors';
import { recordEvent } from '../modules/audit';
import { judgeUse, listUses, type NodeUse, setUseBand, SHORT, shortageOf } from '../modules/nodes';
import type { FlowContext } from './context';

/** Keeps the nodes' bands of use up to date, beside the heartbeats: the answer to a heartbeat does not wait for it. */
export interface UseJudge {
  /** These nodes said something new about their load, memory or disk. */
  note(nodeIds: number[]): void;
}

const WINDOW_MS = 100;
const MAX_BATCH = 500;
/** A claim holds a node for some milliseconds. */
const TRIES = 20;

/** What is lost when the process dies comes again: agents repeat what they said after ten minutes. */
export function createUseJudge(ctx: FlowContext): UseJudge {
  const batcher = createBatcher<number, boolean>({ window: { ms: WINDOW_MS, clock: ctx.clock }, max: MAX_BATCH, work: async (nodeIds) => fulfilled(await judgeAll(ctx, nodeIds)) });
  const judge = async (nodeId: number): Promise<void> => {
    for (let tries = 1; !(await batcher.add(nodeId)) && tries < TRIES; tries += 1) {
      await ctx.clock.sleep(WINDOW_MS * tries);
    }
  };
  return {
    note: (nodeIds) => {
      Promise.all(nodeIds.map(judge)).catch((error: unknown) => ctx.logger.warn('use of nodes could not be judged', { nodes: nodeIds.length, reason: messageOf(error) }));
    },
  };
}

/** False for a node that another transaction holds. */
async function judgeAll(ctx: FlowContext, nodeIds: number[]): Promise<boolean[]> {
  const held = new Set<number>();
  for (const use of await listUses(ctx.db, [...new Set(nodeIds)])) {
    if (judgeUse(use) !== use.before && !(await settle(ctx, use))) {
      held.add(use.nodeId);
    }
  }
  return nodeIds.map((nodeId) => !held.has(nodeId));
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
