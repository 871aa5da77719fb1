import { selectRows } from '../../../db/sql';
import type { Db } from '../../../db/transaction';
import type { Lease, LeaseState } from '../types';
import { LEASE_COLUMNS, type LeaseRow, toLease } from './lease-row';

export interface LeaseFilter {
  /** Lists only leases of this user. Undefined: the leases of all users, for admins. */
  ownerId: number | undefined;
  /** Leaves out leases that are over. */
  runningOnly: boolean;
  /** Lists only ids below this one (newest first). Undefined: the first page. */
  beforeId: number | undefined;
  limit: number;
}

/**
 * Returns a page of leases, newest first. It reads a small multiple of the rows that it returns, however many leases there are. The indexes
 * are forced: otherwise the server uses the first key column alone, and scans every row that is newer than the page.
 */
export async function listLeases(db: Db, filter: LeaseFilter): Promise<Lease[]> {
  const part = filter.runningOnly ? runningIds(filter) : allIds(filter);
  const sql = `SELECT ${LEASE_COLUMNS} FROM (${part.sql}) AS page JOIN leases USING (id) ORDER BY id DESC LIMIT ?`;
  return (await selectRows<LeaseRow>(db, sql, [...part.bindings, filter.limit])).map(toLease);
}

interface Part {
  sql: string;
  bindings: (number | string)[];
}

function allIds(filter: LeaseFilter): Part {
  return idsBy(filter.ownerId === undefined ? 'PRIMARY' : 'leases_user', filter);
}

const RUNNING: LeaseState[] = ['provisioning', 'active', 'migrating', 'ending'];

/**
 * Builds a list for each state, by the index. A single condition on all four states would read the history between them. The quota bounds
 * the leases of a user that occupy a node, and these have an index already. Leases that are ending, of all users, are as many as nodes are
 * being wiped.
 */
function runningIds(filter: LeaseFilter): Part {
  const ofState = (state: LeaseState): Part => idsBy('leases_state', filter, ['state = ?', state]);
  const parts =
    filter.ownerId === undefined
      ? RUNNING.map(ofState)
      : [idsBy('leases_user_node', filter, ['occupied_node_id > ?', 0]), ofState('ending')];
  return { sql: parts.map(({ sql }) => sql).join(' UNION ALL '), bindings: parts.flatMap(({ bindings }) => bindings) };
}

type Condition = [sql: string, value: number | string | undefined];

function idsBy(index: string, { ownerId, beforeId, limit }: LeaseFilter, also?: Condition): Part {
  const conditions: Condition[] = [['user_id = ?', ownerId], ...(also ? [also] : []), ['id < ?', beforeId]];
  const given = conditions.filter((each): each is [string, number | string] => each[1] !== undefined);
  const where = given.map(([sql]) => sql).join(' AND ') || 'TRUE';
  return {
    sql: `(SELECT id FROM leases FORCE INDEX (${index}) WHERE ${where} ORDER BY id DESC LIMIT ?)`,
    bindings: [...given.map(([, value]) => value), limit],
  };
}
