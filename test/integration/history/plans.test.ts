import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Tx, transaction } from '../../../src/db/transaction';
import { type Bindings, selectRows } from '../../../src/db/sql';
import { pruneEvents } from '../../../src/modules/audit';
import { deleteCheckpoints } from '../../../src/modules/checkpoints';
import { deleteLeases, lockOldLeases } from '../../../src/modules/leases';
import { aNode, aUser } from '../../support/builders';
import { openTestDatabase, rows, type TestDatabase } from '../../support/database';
import { openRowCounter } from '../../support/rows-read';

const LEASES = 60_000;
const EVENTS = 200_000;
const BATCH = { leases: 100, events: 500 };

let database: TestDatabase;
beforeAll(async () => {
  database = await openTestDatabase();
  const { db } = database;
  const [user, node] = [await aUser(db), await aNode(db)];
  const at = 'UTC_TIMESTAMP(3) - INTERVAL 450 DAY + INTERVAL seq SECOND';
  await db.raw(`INSERT INTO rents (id, user_id, request_hash) SELECT seq, ?, 'h' FROM seq_1_to_${LEASES}`, [user.id]);
  await db.raw(
    `INSERT INTO leases (id, rent_id, user_id, state, requirements, public_keys, created_at, ends_at, ended_at)
     SELECT seq, seq, ?, 'ended', '{}', '[]', ${at} - INTERVAL 1 DAY, ${at}, ${at} FROM seq_1_to_${LEASES}`,
    [user.id],
  );
  await db.raw(
    `INSERT INTO placements (lease_id, node_id, generation, state, username, uid)
     SELECT seq, ?, 1, 'wiped', CONCAT('orn-', seq), 70000 + seq FROM seq_1_to_${LEASES}`,
    [node.id],
  );
  await db.raw(`INSERT INTO checkpoints (lease_id, enabled, archives) SELECT seq, 1, '[]' FROM seq_1_to_${LEASES}`);
  await db.raw(
    `INSERT INTO extensions (lease_id, ends_before, ends_after, extended_by)
     SELECT seq, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) + INTERVAL 1 DAY, 1 FROM seq_1_to_${LEASES}`,
  );
  await db.raw(
    `INSERT INTO events (type, actor, lease_id, at, data)
     SELECT 'lease.active', 'test', 1 + seq % ${LEASES}, ${at}, '{}' FROM seq_1_to_${EVENTS}`,
  );
  await db.raw(
    `INSERT INTO nodes (hostname, address, ssh_port, host_key, host_key_fingerprint, status, labels, facts, next_uid)
     SELECT CONCAT('n', seq), '127.0.0.1', 22, 'k', CONCAT('f', seq), 'alive', '{}', '{}', 70000 FROM seq_1_to_4000`,
  );
  await db.raw(`INSERT INTO rate_limits (\`key\`, points, expire) SELECT CONCAT('k', seq), 1, seq FROM seq_1_to_20000`);
  await db.raw(`INSERT INTO revoked_tokens (jti, expires_at) SELECT UUID(), UTC_TIMESTAMP(3) + INTERVAL seq SECOND FROM seq_1_to_20000`);
  await rows(db, 'ANALYZE TABLE nodes, rents, leases, placements, checkpoints, extensions, events, rate_limits, revoked_tokens');
}, 120_000);
afterAll(() => database.close());

/** Passes statements on, and keeps them. */
class Recorder extends Tx {
  readonly isClustered = false;
  readonly sent: [sql: string, bindings: Bindings][] = [];

  constructor(private readonly tx: Tx) {
    super();
  }

  send(sql: string, bindings: Bindings): Promise<unknown> {
    this.sent.push([sql, bindings]);
    return this.tx.send(sql, bindings);
  }
}

const window = (limit: number): { days: number; after: undefined; limit: number } => ({ days: 400, after: undefined, limit });

async function pruneOneOfEach(tx: Tx): Promise<void> {
  const { ids } = await lockOldLeases(tx, 'ended', window(BATCH.leases));
  expect(ids).toHaveLength(BATCH.leases);
  await deleteCheckpoints(tx, ids);
  await deleteLeases(tx, ids);
  await pruneEvents(tx, window(BATCH.events));
}

interface Plan {
  table: string | null;
  type: string | null;
  key: string | null;
  Extra: string | null;
}

/** Reading a table, or an index, from its begin to its end. */
const isScan = ({ table, type }: Plan): boolean => (type === 'ALL' || type === 'index') && !table?.startsWith('<union');

describe('with a long history', () => {
  it('R25: each statement of the job finds its rows by an index, and sorts none', async () => {
    const { db } = database;
    const sent = await transaction(db, async (tx) => {
      const recorder = new Recorder(tx);
      await pruneOneOfEach(recorder);
      return recorder.sent;
    });
    expect(sent.length).toBeGreaterThanOrEqual(12);
    const bad: string[] = [];
    for (const [sql, bindings] of sent) {
      const plans = await rows<Plan>(db, `EXPLAIN ${sql}`, bindings);
      const slow = plans.filter((plan) => isScan(plan) || /filesort|temporary/.test(plan.Extra ?? ''));
      bad.push(...slow.map((plan) => `${JSON.stringify(plan)} ${sql}`));
      if (sql.includes('SKIP LOCKED')) {
        expect(['leases_state_end', 'events_at']).toContain(plans[0]?.key);
      }
    }
    expect(bad).toEqual([]);
  });

  it('R25: a window reads a few rows for each that it deletes', async () => {
    const counter = openRowCounter(database.access);
    expect(await counter.rowsRead((db) => transaction(db, pruneOneOfEach))).toBeLessThan(40 * BATCH.leases + 8 * BATCH.events);
    await counter.close();
  });

  it.each([
    ['rate_limits_expire', 'DELETE FROM rate_limits WHERE expire < 500'],
    ['revoked_tokens_expiry', 'DELETE FROM revoked_tokens WHERE expires_at < UTC_TIMESTAMP(3) - INTERVAL 1 HOUR LIMIT 100'],
  ])('R25: %s serves the deletion by an API', async (key, sql) => {
    expect(await selectRows<Plan>(database.db, `EXPLAIN ${sql}`)).toMatchObject([{ key, type: 'range' }]);
  });
});
