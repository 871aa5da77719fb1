import { selectRows } from '../../../db/sql';
import type { Db } from '../../../db/transaction';
import type { Lease, LeaseState } from '../types';
import { LEASE_COLUMNS, type LeaseRow, toLease } from './lease-row';

export interface LeaseFilter {
  /** Undefined: every user's, for admins. */
  ownerId: number | undefined;
  /** Leave out those that are over. */
  runningOnly: boolean;
  /** Ids below this one (newest first), or undefined for the first page. */
  beforeId: number | undefined;
  limit: number;
}

const RUNNING: LeaseState[] = ['provisioning', 'active', 'migrating', 'ending'];

/**
 * A page, newest first. It reads as many rows as it gives, a few times over, however many leases there are. The indexes are named: left to itself the server
 * takes the first key column alone, and walks over every row that is newer than the page.
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

/** One condition on the four states reads the history between them; four lists, each by the index, do not. */
function runningIds(filter: LeaseFilter): Part {
  const parts = RUNNING.map((state) => idsBy(filter.ownerId === undefined ? 'leases_state' : 'leases_user_state', filter, state));
  return { sql: parts.map(({ sql }) => sql).join(' UNION ALL '), bindings: parts.flatMap(({ bindings }) => bindings) };
}

function idsBy(index: string, { ownerId, beforeId, limit }: LeaseFilter, state?: LeaseState): Part {
  const conditions: [string, number | string | undefined][] = [['user_id = ?', ownerId], ['state = ?', state], ['id < ?', beforeId]];
  const given = conditions.filter((each): each is [string, number | string] => each[1] !== undefined);
  const where = given.map(([sql]) => sql).join(' AND ') || 'TRUE';
  return { sql: `(SELECT id FROM leases FORCE INDEX (${index}) WHERE ${where} ORDER BY id DESC LIMIT ?)`, bindings: [...given.map(([, value]) => value), limit] };
}
