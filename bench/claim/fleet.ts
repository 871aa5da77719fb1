import type { Knex } from 'knex';
import { createDatabase } from '../../src/db/connection';
import { createMigrator } from '../../src/db/migrate';
import { selectFirst, selectRows } from '../../src/db/sql';
import { eventually, type DatabaseAccess, type Lab, type MariaDb } from '../../test/lab';
import { migrationsDir } from '../../test/support/database';

/** A database with many free nodes and users. */
export interface Fleet {
  access: DatabaseAccess;
  nodes: number;
  userIds: number[];
  /** Ends every lease at once and waits until the server has swept up behind it: each round finds the same. */
  free(): Promise<void>;
}

const USERS = 1000;

export async function createFleet(lab: Lab, mariadb: MariaDb, nodes: number): Promise<Fleet> {
  const access = await mariadb.createDatabase();
  const db = createDatabase({ ...access, poolSize: 2 });
  lab.push('fleet', () => db.destroy());
  await createMigrator(db, migrationsDir).up();
  await insertNodes(db, nodes);
  await db.raw(
    `INSERT INTO users (username, password_hash, max_leases, max_lease_hours) SELECT CONCAT('u', seq), 'none', 1000, 24 FROM seq_1_to_${USERS}`,
  );
  await selectRows(db, 'ANALYZE TABLE nodes, users');
  const users = await selectRows<{ id: number }>(db, 'SELECT id FROM users');
  return { access, nodes, userIds: users.map(({ id }) => id), free: () => free(db) };
}

/** Alive, clean, free, and as heavy as rows of real nodes. */
async function insertNodes(db: Knex, nodes: number): Promise<void> {
  await db.raw(
    `INSERT INTO nodes (hostname, address, ssh_port, host_key, host_key_fingerprint, credential_hash, status, dirty, cpus, memory_mb, labels, facts, next_uid, probe_due_at, last_checked_at, last_heartbeat_at)
     SELECT CONCAT('node-', seq), CONCAT('10.', seq DIV 65536, '.', seq DIV 256 % 256, '.', seq % 256), 22, CONCAT('ssh-ed25519 ', TO_BASE64(CONCAT(SHA2(seq, 224)))), CONCAT('SHA256:', LEFT(SHA2(seq, 256), 43)),
            SHA2(CONCAT('c', seq), 256), 'alive', 0, 1 + seq % 8, 1024 * (1 + seq % 8), '{"room":"lab-1"}', '{"load1":0.1,"memory_free_mb":512,"disk_free_mb":4096}', 70000,
            UTC_TIMESTAMP(3) + INTERVAL seq % 30 SECOND, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3)
       FROM seq_1_to_${nodes}`,
  );
}

const SWEPT = 50;

async function free(db: Knex): Promise<void> {
  await db.raw('UPDATE nodes SET lease_id = NULL WHERE lease_id IS NOT NULL');
  for (const table of ['placements', 'leases', 'rents', 'events']) {
    await db.raw(`DELETE FROM ${table}`);
  }
  const swept = async (): Promise<boolean> => {
    const row = await selectFirst<{ Value: string }>(db, "SHOW GLOBAL STATUS LIKE 'Innodb_history_list_length'");
    return Number(row?.Value) <= SWEPT;
  };
  await eventually(swept, { what: 'the server has swept up', timeoutMs: 20_000, everyMs: 10 });
}
