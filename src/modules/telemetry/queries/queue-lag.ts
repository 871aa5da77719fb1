import { selectFirst } from '../../../db/sql';
import type { Db } from '../../../db/transaction';

/** Returns for how many seconds the longest due row of each queue has been waiting; 0: no row is due. */
export async function findQueueLag(db: Db): Promise<{ placements: number; wipes: number; probes: number; checkpoints: number }> {
  const row = await selectFirst<Record<'placements' | 'wipes' | 'probes' | 'checkpoints', string | number | null>>(
    db,
    `SELECT (SELECT TIMESTAMPDIFF(MICROSECOND, MIN(due_at), UTC_TIMESTAMP(3)) / 1000000 FROM placements) AS placements,
            (SELECT TIMESTAMPDIFF(MICROSECOND, MIN(wipe_due_at), UTC_TIMESTAMP(3)) / 1000000 FROM nodes) AS wipes,
            (SELECT TIMESTAMPDIFF(MICROSECOND, MIN(probe_due_at), UTC_TIMESTAMP(3)) / 1000000 FROM nodes) AS probes,
            (SELECT TIMESTAMPDIFF(MICROSECOND, MIN(due_at), UTC_TIMESTAMP(3)) / 1000000 FROM checkpoints) AS checkpoints`,
  );
  const lag = (value: string | number | null | undefined): number => Math.max(0, Number(value ?? 0));
  return { placements: lag(row?.placements), wipes: lag(row?.wipes), probes: lag(row?.probes), checkpoints: lag(row?.checkpoints) };
}
