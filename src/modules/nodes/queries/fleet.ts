import { execute, selectFirst } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import type { FleetCounts } from '../health';

/** Older deaths are no sign that the fleet is failing now. */
const RECENT_DEATH_MINUTES = 5;

/**
 * Counts the failing and the healthy nodes of the fleet. The count of healthy nodes stops at the number of failing ones: more of them
 * change no decision. Every scheduler runs this every two seconds, and it is cheap while few nodes fail.
 *
 * @param evidenceSeconds how old a successful probe may be to count as evidence of health
 */
export async function countFleet(db: Db, evidenceSeconds: number): Promise<FleetCounts> {
  const failing = await countOf(
    db,
    `SELECT COUNT(*) AS n FROM nodes WHERE status = 'suspect' OR (status IN ('dead','unknown') AND last_death_at > UTC_TIMESTAMP(3) - INTERVAL ? MINUTE)`,
    [RECENT_DEATH_MINUTES],
  );
  const healthy = await countOf(
    db,
    `SELECT COUNT(*) AS n FROM (SELECT 1 FROM nodes WHERE status = 'alive' AND last_checked_at > UTC_TIMESTAMP(3) - INTERVAL ? SECOND LIMIT ?) AS some`,
    [evidenceSeconds, failing],
  );
  return { healthy, failing };
}

async function countOf(db: Db, sql: string, bindings: number[]): Promise<number> {
  return (await selectFirst<{ n: number }>(db, sql, bindings))?.n ?? 0;
}

/**
 * Records that a scheduler is at work. If no scheduler did so for `outageSeconds`, the control plane itself was down: failures count only
 * from now on (I8), and the result is true.
 */
export async function tick(db: Db, outageSeconds: number): Promise<boolean> {
  const judgedAnew = await execute(
    db,
    `UPDATE control_plane SET judged_since = UTC_TIMESTAMP(3), last_tick_at = UTC_TIMESTAMP(3)
      WHERE id = 1 AND last_tick_at < TIMESTAMPADD(MICROSECOND, ROUND(? * -1000000), UTC_TIMESTAMP(3))`,
    [outageSeconds],
  );
  if (judgedAnew === 0) {
    await execute(db, 'UPDATE control_plane SET last_tick_at = UTC_TIMESTAMP(3) WHERE id = 1');
  }
  return judgedAnew === 1;
}

/** Opens or closes the circuit breaker. True when that changed something. */
export async function setBreaker(tx: Tx, on: boolean): Promise<boolean> {
  const sql = on
    ? 'UPDATE control_plane SET brake_since = UTC_TIMESTAMP(3) WHERE id = 1 AND brake_since IS NULL'
    : 'UPDATE control_plane SET brake_since = NULL WHERE id = 1 AND brake_since IS NOT NULL';
  return (await execute(tx, sql)) === 1;
}

/** When the circuit breaker was opened, or null while it is closed. */
export async function findBreaker(db: Db): Promise<Date | null> {
  return (await selectFirst<{ brake_since: Date | null }>(db, 'SELECT brake_since FROM control_plane WHERE id = 1'))?.brake_since ?? null;
}
