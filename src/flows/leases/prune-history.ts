import type { Place, Pruned, Window } from '../../db/old-rows';
import { type Tx, transaction } from '../../db/transaction';
import type { PassResult } from '../../lib/loop';
import { pruneEvents } from '../../modules/audit';
import { deleteCheckpoints } from '../../modules/checkpoints';
import type { SweepJob } from '../../modules/jobs';
import { deleteLeases, lockOldLeases, type OverState } from '../../modules/leases';
import type { FlowContext } from '../support/context';

/** Pause between two rounds. Nothing waits for old rows to go. */
const PERIOD_SECONDS = 600;
/** Rows of a window. On a machine with 2 cores, a window of events takes about 10 ms, one of leases about 20 ms. */
const BATCH = { leases: 100, events: 500 };
/** Pause after a window, in durations of the window. So a scheduler takes a tenth of one connection's time from the database at most. */
const PAUSE = 9;
const MAX_PAUSE_MS = 2_000;

/** The position of one scheduler in its round of the history. */
export interface PruneRound {
  kind: number;
  after: Place | undefined;
  deleted: Record<Kind['rows'], number>;
}

export const firstPruneRound = (): PruneRound => ({ kind: 0, after: undefined, deleted: { leases: 0, events: 0 } });

export const pruneJob: SweepJob<FlowContext & { round: PruneRound }> = {
  name: 'prune',
  description: 'deletes ended leases and events that are older than the kept history',
  period: () => PERIOD_SECONDS,
  sweep: (ctx) => pruneHistory(ctx, ctx.round),
};

interface Kind {
  rows: keyof typeof BATCH;
  prune: (tx: Tx, window: Window) => Promise<Pruned>;
}

const leasesThat =
  (state: OverState): Kind['prune'] =>
  async (tx, window) => {
    const { ids, next } = await lockOldLeases(tx, state, window);
    await deleteCheckpoints(tx, ids);
    await deleteLeases(tx, ids);
    return { deleted: ids.length, next };
  };

/** Leases come first, because the events of a lease stay until the lease is gone. */
const KINDS: readonly Kind[] = [
  { rows: 'leases', prune: leasesThat('ended') },
  { rows: 'leases', prune: leasesThat('failed') },
  { rows: 'events', prune: pruneEvents },
];

/**
 * Deletes one window of old rows in one transaction. `more`: the round has further windows. A round visits each old row once, so rows that
 * must stay do not hold up the rows behind them. It locks only rows that are over, so no rent waits for it.
 */
export async function pruneHistory(ctx: FlowContext, round: PruneRound): Promise<PassResult> {
  const { historyDays: days } = ctx.settings;
  const kind = KINDS[round.kind];
  if (days === 0 || !kind) {
    return endRound(ctx, round);
  }
  const startedAtMs = ctx.clock.monotonicMs();
  const { deleted, next } = await transaction(ctx.db, (tx) => kind.prune(tx, { days, after: round.after, limit: BATCH[kind.rows] }));
  round.after = next;
  round.kind += next ? 0 : 1;
  round.deleted[kind.rows] += deleted;
  await ctx.clock.sleep(Math.min((ctx.clock.monotonicMs() - startedAtMs) * PAUSE, MAX_PAUSE_MS));
  return 'more';
}

function endRound(ctx: FlowContext, round: PruneRound): PassResult {
  const { deleted } = round;
  if (deleted.leases + deleted.events > 0) {
    ctx.logger.info('history pruned', deleted);
  }
  Object.assign(round, firstPruneRound());
  return 'done';
}
