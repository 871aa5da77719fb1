import type { Knex } from 'knex';
import { systemClock } from '../../lib/clock';
import { newClaimToken } from '../../lib/ids';
import { execute, IN_SECONDS } from '../sql';
import { change } from './change';

/** Time limit of the lock. After a migrator is killed, the others wait this long. */
const LOCK_SECONDS = 30;
const RENEW_MS = 5_000;
const WAIT_MS = 120_000;
const RETRY_MS = 300;

export interface MigrationLock {
  /** Extends the lock. Throws when another process has taken it over: then nothing more may be changed. */
  renew(): Promise<void>;
}

/**
 * Runs `work` while no other process migrates this database. The lock is a row with the owner's token and a time limit. A named lock
 * (GET_LOCK) would exist on only one server of a cluster. When two servers change the row at once, the cluster refuses one of the changes.
 */
export async function withMigrationLock<T>(db: Knex, work: (lock: MigrationLock) => Promise<T>): Promise<T> {
  const token = newClaimToken();
  await createLockTable(db);
  await claim(db, token);
  const over = new AbortController();
  const renew = async (): Promise<void> => {
    if ((await change(db, `UPDATE schema_lock SET expires_at = ${IN_SECONDS} WHERE id = 1 AND owner = ?`, [LOCK_SECONDS, token])) === 0) {
      throw new Error(
        'Another process has taken over the migration of this database, because this one did not answer for too long. Look at `orion migrate status`.',
      );
    }
  };
  const renewing = keepRenewing(renew, over.signal);
  try {
    return await work({ renew });
  } finally {
    over.abort();
    await renewing;
    await change(db, 'UPDATE schema_lock SET owner = NULL WHERE id = 1 AND owner = ?', [token]);
  }
}

async function createLockTable(db: Knex): Promise<void> {
  await execute(
    db,
    `CREATE TABLE IF NOT EXISTS schema_lock (
      id TINYINT UNSIGNED PRIMARY KEY,
      owner CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'NULL: nobody migrates',
      expires_at DATETIME(3) NOT NULL DEFAULT UTC_TIMESTAMP(3)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
  await change(db, 'INSERT IGNORE INTO schema_lock (id) VALUES (1)');
}

async function claim(db: Knex, token: string): Promise<void> {
  const deadline = systemClock.monotonicMs() + WAIT_MS;
  while (!(await tryClaim(db, token))) {
    if (systemClock.monotonicMs() > deadline) {
      throw new Error(
        `Another process has been migrating this database for ${WAIT_MS / 1000} s. The table schema_lock names it; SHOW PROCESSLIST shows what it does.`,
      );
    }
    await systemClock.sleep(RETRY_MS);
  }
}

async function tryClaim(db: Knex, token: string): Promise<boolean> {
  const sql = `UPDATE schema_lock SET owner = ?, expires_at = ${IN_SECONDS} WHERE id = 1 AND (owner IS NULL OR expires_at < UTC_TIMESTAMP(3))`;
  return (await change(db, sql, [token, LOCK_SECONDS])) === 1;
}

/** Renews the lock during long statements. Failures are ignored, because the lock is renewed again before the next statement. */
async function keepRenewing(renew: () => Promise<void>, over: AbortSignal): Promise<void> {
  for (;;) {
    await systemClock.sleep(RENEW_MS, over);
    if (over.aborted) {
      return;
    }
    await renew().catch(() => undefined);
  }
}
