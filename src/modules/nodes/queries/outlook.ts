import { selectRows } from '../../../db/sql';
import type { Db } from '../../../db/transaction';
import type { Requirements } from '../types';
import { requirementsSql } from './requirements';

/**
 * Returns true if `count` enrolled nodes, free or not, could ever satisfy `wanted`. This distinguishes "come back later" from "require
 * less".
 */
export async function couldEverSatisfy(db: Db, wanted: Requirements, count: number): Promise<boolean> {
  const { sql, bindings } = requirementsSql(wanted);
  const rows = await selectRows(
    db,
    `SELECT id FROM nodes WHERE status IN ('unknown','alive','suspect','dead') AND drained = 0 AND ${sql} LIMIT ?`,
    [...bindings, count],
  );
  return rows.length >= count;
}
