import type { Knex } from 'knex';
import type { Connection } from 'mysql2';
import { systemClock, withDeadline } from '../lib/clock';
import { OrionError } from '../lib/errors';
import { inSpan, SpanKind } from '../lib/trace';
import { ABORTED_CODE } from './guard';
import { acquire, frameOf, release, sendOn, Transaction, Tx } from './query';

export { type Batch, type Db, type Transaction, Tx } from './query';

const RETRIABLE = new Set([ABORTED_CODE, 'ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT', 'ER_CHECKREAD']);
/** Codes of a server that is cut off from its cluster (1047, 1180), or read-only (1290) because another server has taken over. */
const OUT_OF_SERVICE = ['ER_UNKNOWN_COM_ERROR', 'ER_ERROR_DURING_COMMIT', 'ER_OPTION_PREVENTS_STATEMENT'];
const LOST = new Set([
  ...OUT_OF_SERVICE,
  'PROTOCOL_CONNECTION_LOST',
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'ER_SERVER_SHUTDOWN',
  'ER_CONNECTION_KILLED',
  'ENOENT',
]);
const MAX_ATTEMPTS = 6;
/** Pause from the second repetition on, longer each time. On a cluster, the winner's change must first arrive at this server. */
const PAUSE_MS = 10;

/** Returns the code of a driver error, or '' for any other value. */
export function sqlCodeOf(error: unknown): string {
  // Checks members and not the class, because socket errors may come from another realm.
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/**
 * Returns true when another transaction was in the way, and nothing was done. It was a deadlock, a lock or a table that stayed in use, or a
 * conflict with another server of a cluster.
 */
export const isConflict = (error: unknown): boolean => RETRIABLE.has(sqlCodeOf(error));

export const isMissingTable = (error: unknown): boolean => sqlCodeOf(error) === 'ER_NO_SUCH_TABLE';

/** Returns true for a violated UNIQUE key; `key` limits it to one key by name. */
export function isDuplicate(error: unknown, key?: string): boolean {
  return sqlCodeOf(error) === 'ER_DUP_ENTRY' && (key === undefined || (error as Error).message.includes(key));
}

/** Returns true when the database could not be reached, went away, or accepts no work. The outcome of a running COMMIT is unknown. */
export function isDatabaseGone(error: unknown): boolean {
  // The driver marks errors that end a connection as fatal, with or without a code.
  const fatal = typeof error === 'object' && error !== null && 'fatal' in error && error.fatal === true;
  return fatal || LOST.has(sqlCodeOf(error)) || (error instanceof Error && error.name === 'KnexTimeoutError');
}

/**
 * Runs `work` in one READ COMMITTED transaction. The pool sets the level for the session, which saves a round trip. Deadlocks and lock
 * timeouts roll back and run `work` again, so `work` must have no other effects. Any other error rolls back and is thrown. If the
 * connection is lost during COMMIT, the outcome is unknown: the call fails with `unavailable`, and only an idempotency key makes a retry
 * safe. Transactions do not nest: pass the handle on instead.
 */
export async function transaction<T>(db: Knex, work: (tx: Transaction) => Promise<T>): Promise<T> {
  if (db instanceof Tx) {
    throw new Error('transactions do not nest: pass the handle on');
  }
  return inSpan('transaction', () => runUntilDone(db, work), { kind: SpanKind.CLIENT, attributes: { 'db.system.name': 'mariadb' } });
}

async function runUntilDone<T>(db: Knex, work: (tx: Transaction) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await runOnce(db, work);
    } catch (error) {
      if (RETRIABLE.has(sqlCodeOf(error)) && attempt < MAX_ATTEMPTS) {
        await systemClock.sleep(Math.random() * PAUSE_MS * (attempt - 1));
        continue;
      }
      throw isDatabaseGone(error)
        ? new OrionError('unavailable', 'The database does not answer. Repeat the request, with the same Idempotency-Key if it had one.', {
            retryAfterSeconds: 2,
            cause: error,
          })
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

/**
 * Rolls back. If that fails or takes too long, the connection is cut: the server rolls back by itself, and no other transaction gets the
 * connection.
 */
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
