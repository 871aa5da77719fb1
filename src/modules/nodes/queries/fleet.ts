import { execute, selectFirst } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import type { FleetCounts } from '../health';

/** Deaths older than this are history, no sign that the fleet is failing now. */
const RECENT_DEATH_MINUTES = 5;

/** @param evidenceSeconds how old a successful check may be to count as evidence of health */
export async function countFleet(db: Db, evidenceSeconds: number): Promise<FleetCounts> {
  const row = await selectFirst<{ healthy: string | null; failing: string | null }>(
    db,
    `SELECT SUM(status = 'alive' AND last_checked_at > UTC_TIMESTAMP(3) - INTERVAL ? SECOND) AS healthy,
            SUM(status = 'suspect' OR (status IN ('dead','unknown') AND last_death_at > UTC_TIMESTAMP(3) - INTERVAL ? MINUTE)) AS failing
       FROM nodes WHERE status IN ('unknown','alive','suspect','dead')`,
    [evidenceSeconds, RECENT_DEATH_MINUTES],
  );
  return { healthy: Number(row?.healthy ?? 0), failing: Number(row?.failing ?? 0) };
}

/**
 * A scheduler says that it is at work. When nobody has said so for `outageSeconds`, the control plane itself was away: judgements begin
 * anew from now (I8), and true is returned.
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

/** Puts the brake on or takes it off. True when that changed something. */
export async function setBrake(tx: Tx, on: boolean): Promise<boolean> {
  const sql = on
    ? 'UPDATE control_plane SET brake_since = UTC_TIMESTAMP(3) WHERE id = 1 AND brake_since IS NULL'
    : 'UPDATE control_plane SET brake_since = NULL WHERE id = 1 AND brake_since IS NOT NULL';
  return (await execute(tx, sql)) === 1;
}

/** When the brake on migration was put on, or null. */
export async function findBrake(db: Db): Promise<Date | null> {
  return (await selectFirst<{ brake_since: Date | null }>(db, 'SELECT brake_since FROM control_plane WHERE id = 1'))?.brake_since ?? null;
}
