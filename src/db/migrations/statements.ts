import type { Knex } from 'knex';
import type { Connection } from 'mysql2';
import { backoffSeconds } from '../../lib/backoff';
import { systemClock } from '../../lib/clock';
import { acquire, type Bindings, release, sendOn } from '../query';
import { isConflict } from '../transaction';

/** Sends the statements of a migration one after the other. Each must be repeatable. */
export interface Statements {
  raw(sql: string, bindings?: Bindings): Promise<unknown>;
}

/**
 * Time that one try waits for a lock. While a statement waits for a table, all other statements on that table wait behind it, including
 * reads. So a try waits no longer than the live system can bear, and then lets the others continue.
 */
const LOCK_WAIT_SECONDS = 1;
const PAUSE = { firstSeconds: 0.5, maxSeconds: 5 };
const TOTAL_SECONDS = 600;

export interface Patience {
  /** Runs before each try. When it throws, no more statements are sent. */
  beforeEach: () => Promise<void>;
  onWait: (what: string) => void;
}

/** Runs `work` on one connection. A statement that finds its table or rows in use is repeated with pauses, for ten minutes. */
export async function withPatience(db: Knex, patience: Patience, work: (statements: Statements) => Promise<void>): Promise<void> {
  const connection = await acquire(db);
  try {
    await sendOn(connection, `SET SESSION lock_wait_timeout = ${LOCK_WAIT_SECONDS}, innodb_lock_wait_timeout = ${LOCK_WAIT_SECONDS}`);
    await work({ raw: (sql, bindings = []) => untilFree(connection, { sql, bindings }, patience) });
  } finally {
    // The connection has the session settings of a migration, so it does not return to the pool.
    connection.destroy();
    release(db, connection);
  }
}

interface Statement {
  sql: string;
  bindings: Bindings;
}

async function untilFree(connection: Connection, { sql, bindings }: Statement, { beforeEach, onWait }: Patience): Promise<unknown> {
  const deadline = systemClock.monotonicMs() + TOTAL_SECONDS * 1000;
  for (let attempt = 1; ; attempt += 1) {
    await beforeEach();
    try {
      return await sendOn(connection, sql, bindings);
    } catch (error) {
      if (!isConflict(error)) {
        throw error;
      }
      if (systemClock.monotonicMs() > deadline) {
        throw new Error(
          `Its tables were in use for ${TOTAL_SECONDS} s: a long transaction or a backup holds them (SHOW PROCESSLIST). End it and repeat. Statement: ${firstLineOf(sql)}`,
          { cause: error },
        );
      }
      onWait(`waits: its tables are in use (try ${attempt}): ${firstLineOf(sql)}`);
      await systemClock.sleep(backoffSeconds(PAUSE, attempt, Math.random()) * 1000);
    }
  }
}

const firstLineOf = (sql: string): string => sql.trim().split('\n')[0]?.slice(0, 120) ?? '';
