import { selectFirst, selectRows } from '../../../db/sql';
import type { Db } from '../../../db/transaction';
import type { Requirements } from '../types';
import { requirementsSql } from './requirements';

/** True when some enrolled node, free or not, could ever satisfy this: tells "come back later" from "ask for less". */
export async function couldEverSatisfy(db: Db, wanted: Requirements, count: number): Promise<boolean> {
  const { sql, bindings } = requirementsSql(wanted);
  const rows = await selectRows(
    db,
    `SELECT id FROM nodes WHERE status IN ('unknown','alive','suspect','dead') AND drained = 0 AND ${sql} LIMIT ?`,
    [...bindings, count],
  );
  return rows.length >= count;
}

export interface NodesInUse {
  /** When the next lease ends, or null when none runs. */
  nextEndAt: Date | null;
  /** Seconds until then, at least 1. */
  retryAfterSeconds: number;
}

const DEFAULT_RETRY_SECONDS = 30;
const OCCUPYING = ['provisioning', 'active', 'migrating'];

/** What a caller who found nothing free can wait for. */
export async function findNextEnd(db: Db): Promise<NodesInUse> {
  // The first of each state, by the index: over all three at once the server would look at every running lease.
  const firsts = OCCUPYING.map((state) => `(SELECT ends_at FROM leases WHERE state = '${state}' AND ends_at > UTC_TIMESTAMP(3) ORDER BY ends_at LIMIT 1)`);
  const row = await selectFirst<{ ends_at: Date | null; seconds: string | number | null }>(
    db,
    `SELECT MIN(ends_at) AS ends_at, CEIL(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), MIN(ends_at)) / 1000000) AS seconds FROM (${firsts.join(' UNION ALL ')}) AS next`,
  );
  const seconds = Number(row?.seconds ?? DEFAULT_RETRY_SECONDS);
  return { nextEndAt: row?.ends_at ?? null, retryAfterSeconds: Math.max(1, seconds) };
}
