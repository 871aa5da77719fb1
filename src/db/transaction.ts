import type { Knex } from 'knex';
import type { Connection } from 'mysql2';
import { systemClock, withDeadline } from '../lib/clock';
import { OrionError } from '../lib/errors';
import { ABORTED_CODE } from './guard';
import { acquire, frameOf, release, sendOn, Transaction, Tx } from './query';

export { type Batch, type Db, type Transaction, Tx } from './query';

const RETRIABLE = new Set([ABORTED_CODE, 'ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT', 'ER_CHECKREAD']);
/** Of a node that is cut off from its cluster (1047, 1180), or is read-only (1290) because another server has taken over. */
const OUT_OF_SERVICE = ['ER_UNKNOWN_COM_ERROR', 'ER_ERROR_DURING_COMMIT', 'ER_OPTION_PREVENTS_STATEMENT'];
const LOST = new Set([...OUT_OF_SERVICE, 'PROTOCOL_CONNECTION_LOST', 'ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'ER_SERVER_SHUTDOWN', 'ER_CONNECTION_KILLED', 'ENOENT']);
const MAX_ATTEMPTS = 6;
/** From the second repetition on, and longer each time: on a cluster the winner's change has to arrive here first. */
const PAUSE_MS = 10;

/** The code of a driver error, '' for anything else. */
export function sqlCodeOf(error: unknown): string {
  // By its members and not by its class: errors of sockets may come from another realm than ours.
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** True when another transaction was in the way: a deadlock, a lock or a table that stayed in use, a conflict with another server of a cluster. Nothing was done. */
export const isConflict = (error: unknown): boolean => RETRIABLE.has(sqlCodeOf(error));

export const isMissingTable = (error: unknown): boolean => sqlCodeOf(error) === 'ER_NO_SUCH_TABLE';

/** True for a violated UNIQUE key; `key` narrows it to one by name. */
export function isDuplicate(error: unknown, key?: string): boolean {
  return sqlCodeOf(error) === 'ER_DUP_ENTRY' && (key === undefined || (error as Error).message.includes(key));
}

/** True when the database could not be reached, went away, or does not take work: nothing is known about what was being committed. */
export function isDatabaseGone(error: unknown): boolean {
  // The driver marks as fatal what ends a connection, with or without a code.
  const fatal = typeof error === 'object' && error !== null && 'fatal' in error && error.fatal === true;
  return fatal || LOST.has(sqlCodeOf(error)) || (error instanceof Error && error.name === 'KnexTimeoutError');
}

/**
 * Runs `work` in one READ COMMITTED transaction. (The pool sets the level for the session, which spares a round trip.) Deadlocks and lock
 * timeouts roll back and run `work` again (so it must have no other effects); anything else rolls back and is thrown. A connection lost
 * during COMMIT may have committed: it surfaces as `unavailable`, and only an idempotency key makes repeating safe. Refuses to nest: the
 * handle is passed on instead.
 */
export async function transaction<T>(db: Knex, work: (tx: Transaction) => Promise<T>): Promise<T> {
  if (db instanceof Tx) {
    throw new Error('transactions do not nest: pass the handle on');
  }
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await runOnce(db, work);
    } catch (error) {
      if (RETRIABLE.has(sqlCodeOf(error)) && attempt < MAX_ATTEMPTS) {
        await systemClock.sleep(Math.random() * PAUSE_MS * (attempt - 1));
        continue;
      }
      throw isDatabaseGone(error)
        ? new OrionError('unavailable', 'The database does not answer. Repeat the request, with the same Idempotency-Key if it had one.', { retryAfterSeconds: 2, cause: error })
        : error;
    }
  }
}

const ROLLBACK_LIMIT_MS = 5_000;

async function runOnce<T>(db: Knex, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const connection = await acquire(db);
  const tx = new Transaction(connection);
  try {
    const result = await work(tx);
    await tx.commit();
    tx.end();
    return result;
  } catch (error) {
    tx.end();
    await rollBack(connection);
    throw error;
  } finally {
    release(db, connection);
  }
}

/** A connection on which even that fails, or takes too long, is cut: the server rolls back by itself, and nobody gets it again. */
async function rollBack(connection: Connection): Promise<void> {
  try {
    await withDeadline(ROLLBACK_LIMIT_MS, async () => {
      for (const statement of ['ROLLBACK', ...frameOf(connection).restore]) {
        await sendOn(connection, statement);
      }
    });
  } catch {
    connection.destroy();
  }
}
