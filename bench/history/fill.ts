import type { Knex } from 'knex';
import { execute, selectRows } from '../../src/db/sql';

export interface HistorySize {
  leases: number;
  events: number;
  /** Of the events, these are the oldest, and about no lease: a scheduler may delete them. */
  oldEvents: number;
}

/** Ended leases go back this many days, the old events further. */
export const KEPT_DAYS = 300;
const SPREAD = 'UTC_TIMESTAMP(3) - INTERVAL 299 DAY + INTERVAL seq * 86400 * 298 DIV';
/** Rows of one INSERT … SELECT, so that the undo log stays small. */
const CHUNK = 250_000;

/** Fills a database that has nodes and users with a history that is over: each lease has a rent, an account that is wiped, and events. */
export async function fillHistory(db: Knex, { leases, events, oldEvents }: HistorySize): Promise<void> {
  const nodes = await selectRows<{ first: number; n: number }>(db, 'SELECT MIN(id) AS first, COUNT(*) AS n FROM nodes');
  const { first = 0, n = 1 } = nodes[0] ?? {};
  const node = `${first} + seq % ${n}`;
  const userOf = '(1 + seq % 1000)';
  const from = (lowest: number, highest: number): string => `FROM seq_${lowest}_to_${highest}`;
  await inChunks(leases, (low, high) =>
    execute(db, `INSERT INTO rents (id, user_id, request_hash) SELECT seq, ${userOf}, SHA2(seq, 256) ${from(low, high)}`),
  );
  const at = `${SPREAD} ${leases} SECOND`;
  await inChunks(leases, (low, high) =>
    execute(
      db,
      `INSERT INTO leases (id, rent_id, user_id, state, requirements, public_keys, created_at, ends_at, ended_at, activated_at, end_reason)
       SELECT seq, seq, ${userOf}, 'ended', '{"cpus":1,"memoryMb":0,"labels":{}}', CONCAT('["ssh-ed25519 ', SHA2(seq, 256), '"]'),
              ${at} - INTERVAL 1 HOUR, ${at}, ${at}, ${at}, 'expired' ${from(low, high)}`,
    ),
  );
  await inChunks(leases, (low, high) =>
    execute(
      db,
      `INSERT INTO placements (lease_id, node_id, generation, state, username, uid, report)
       SELECT seq, ${node}, 1, 'wiped', CONCAT('orn-', LPAD(CONV(seq, 10, 36), 10, '0')), 70000 + seq DIV ${n}, '{"found":[]}'
         ${from(low, high)}`,
    ),
  );
  await execute(db, 'UPDATE nodes SET next_uid = 1000000');
  await withoutKeys(db, 'events', async () => {
    const insert = (id: string, values: string): string =>
      `INSERT INTO events (id, type, outcome, actor, data, node_id, lease_id, user_id, at)
       SELECT ${id}, 'lease.active', 'done', 'scheduler', '{"generation":1}', ${node}, ${values}`;
    const old = insert('seq', 'NULL, NULL, UTC_TIMESTAMP(3) - INTERVAL 400 DAY + INTERVAL seq SECOND');
    const ofLeases = insert(`${oldEvents} + seq`, `1 + seq * ${leases} DIV ${events}, ${userOf}, ${SPREAD} ${events} SECOND`);
    await inChunks(oldEvents, (low, high) => execute(db, `${old} ${from(low, high)}`));
    await inChunks(events - oldEvents, (low, high) => execute(db, `${ofLeases} ${from(low, high)}`));
  });
  await selectRows(db, 'ANALYZE TABLE rents, leases, placements, events');
}

async function inChunks(rows: number, insert: (lowest: number, highest: number) => Promise<unknown>): Promise<void> {
  for (let low = 1; low <= rows; low += CHUNK) {
    await insert(low, Math.min(rows, low + CHUNK - 1));
  }
}

/** Drops the secondary keys while rows are inserted. To sort all entries of a key at once is several times as fast. */
async function withoutKeys(db: Knex, table: string, work: () => Promise<void>): Promise<void> {
  const keys = await selectRows<{ name: string; columns: string }>(
    db,
    `SELECT index_name AS name, GROUP_CONCAT(column_name ORDER BY seq_in_index) AS columns FROM information_schema.statistics
      WHERE table_schema = DATABASE() AND table_name = ? AND index_name <> 'PRIMARY' AND non_unique = 1 GROUP BY index_name`,
    [table],
  );
  await execute(db, `ALTER TABLE ${table} ${keys.map(({ name }) => `DROP KEY ${name}`).join(', ')}`);
  await work();
  await execute(db, `ALTER TABLE ${table} ${keys.map(({ name, columns }) => `ADD KEY ${name} (${columns})`).join(', ')}`);
}
