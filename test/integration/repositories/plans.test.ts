import { beforeAll, describe, expect, it } from '@jest/globals';
import { selectRows } from '../../../src/db/sql';
import { transaction } from '../../../src/db/transaction';
import { lockFreeNodes } from '../../../src/modules/nodes';
import { aUser } from '../../support/builders';
import { rows } from '../../support/database';
import { useTestDatabase } from '../../support/hooks';

const database = useTestDatabase();

interface Plan {
  table: string;
  type: string;
  key: string | null;
  rows: number;
  Extra: string;
}

describe('with thousands of rows, what is due is found by its index', () => {
  beforeAll(async () => {
    const raw = (sql: string, bindings: number[] = []): Promise<unknown> => database.db.raw(sql, bindings);
    const { id } = await aUser(database.db);
    await raw(
      `INSERT INTO nodes (hostname, address, ssh_port, host_key, host_key_fingerprint, status, dirty, cpus, memory_mb, labels, facts, next_uid, probe_due_at, wipe_due_at)
       SELECT CONCAT('n', seq), '127.0.0.1', 22, 'k', CONCAT('f', seq), IF(seq % 3, 'alive', 'dead'), 0, 1 + seq % 8, 1024, '{}', '{}', 70000,
              UTC_TIMESTAMP(3) + INTERVAL (CAST(seq AS SIGNED) - 50) SECOND, IF(seq % 50, NULL, UTC_TIMESTAMP(3) + INTERVAL (CAST(seq AS SIGNED) - 500) SECOND) FROM seq_1_to_4000`,
    );
    await raw("INSERT INTO rents (user_id, request_hash) VALUES (?, 'h')", [id]);
    await raw(
      `INSERT INTO leases (rent_id, user_id, state, requirements, public_keys, created_at, ends_at, ended_at)
       SELECT (SELECT MIN(id) FROM rents), ?, 'ended', '{}', '[]', UTC_TIMESTAMP(3) - INTERVAL 2 DAY, UTC_TIMESTAMP(3) - INTERVAL 1 DAY, UTC_TIMESTAMP(3) FROM seq_1_to_4000`,
      [id],
    );
    await raw(
      `INSERT INTO placements (lease_id, node_id, generation, state, username, uid)
       SELECT l.id, (SELECT MIN(id) FROM nodes), 1, 'wiped', CONCAT('orn-', l.id), 70000 + l.id FROM leases l`,
    );
    await raw(
      "INSERT INTO checkpoints (lease_id, enabled, archives, due_at) SELECT id, 1, '[]', IF(id % 50, NULL, UTC_TIMESTAMP(3)) FROM leases",
    );
    await rows(database.db, 'ANALYZE TABLE nodes, leases, placements, checkpoints');
  }, 60_000);

  it('R25: a claim that goes on from a place does not walk over what lies before it', async () => {
    const search = { wanted: { cpus: 1, memoryMb: 0, labels: {} }, limit: 2, after: { fit: 5_120, band: 0 as const, id: 3_000 } };
    await transaction(database.db, async (tx) => {
      const looks = async (): Promise<number> => {
        const counters = await selectRows<{ Value: string }>(
          tx,
          "SHOW SESSION STATUS WHERE Variable_name IN ('Handler_read_next', 'Handler_icp_attempts')",
        );
        return counters.reduce((sum, { Value }) => sum + Number(Value), 0);
      };
      const before = await looks();
      expect(await lockFreeNodes(tx, search)).toHaveLength(2);
      expect((await looks()) - before).toBeLessThan(20);
    });
  });

  it.each([
    [
      'nodes_claim',
      'SELECT id, cpus, memory_mb FROM nodes FORCE INDEX (nodes_claim) WHERE leasable = 1 AND use_band < 3 AND fit >= 4096 AND cpus >= 2 AND memory_mb >= 0 ORDER BY fit, use_band, id LIMIT 65',
    ],
    [
      'nodes_claim',
      `SELECT id, facts FROM nodes FORCE INDEX (nodes_claim) WHERE leasable = 1 AND use_band < 3 AND fit >= 4096 AND cpus >= 2 AND memory_mb >= 0
      AND (last_death_at IS NULL OR NOT last_death_at > UTC_TIMESTAMP(3) - INTERVAL 1 HOUR) ORDER BY fit, use_band, id LIMIT 128 FOR UPDATE SKIP LOCKED`,
    ],
    [
      'nodes_claim',
      `SELECT id, facts FROM nodes FORCE INDEX (nodes_claim) WHERE leasable = 1 AND use_band < 3 AND fit >= 2048 AND cpus >= 1 AND memory_mb >= 0 AND (fit > 9216 OR (fit = 9216 AND (use_band > 0 OR (use_band = 0 AND id > 2000))))
      AND (last_death_at IS NULL OR NOT last_death_at > UTC_TIMESTAMP(3) - INTERVAL 1 HOUR) ORDER BY fit, use_band, id LIMIT 128 FOR UPDATE SKIP LOCKED`,
    ],
    [
      'nodes_claim',
      `SELECT id, facts FROM nodes FORCE INDEX (nodes_claim) WHERE leasable = 1 AND use_band < 3 AND fit >= 2048 AND cpus >= 1 AND memory_mb >= 0 AND JSON_VALUE(labels, '$."node/gpu"') = 'a100'
      ORDER BY fit, use_band, id LIMIT 65`,
    ],
    [
      'nodes_probe_due',
      'SELECT id FROM nodes WHERE probe_due_at <= UTC_TIMESTAMP(3) ORDER BY probe_due_at, id LIMIT 32 FOR UPDATE SKIP LOCKED',
    ],
    [
      'nodes_wipe_due',
      'SELECT id FROM nodes WHERE wipe_due_at <= UTC_TIMESTAMP(3) ORDER BY wipe_due_at, id LIMIT 8 FOR UPDATE SKIP LOCKED',
    ],
    ['placements_due', 'SELECT id FROM placements WHERE due_at <= UTC_TIMESTAMP(3) ORDER BY due_at, id LIMIT 8 FOR UPDATE SKIP LOCKED'],
    [
      'leases_state_due',
      "SELECT id FROM leases WHERE state = 'migrating' AND due_at <= UTC_TIMESTAMP(3) ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED",
    ],
    [
      'checkpoints_due',
      'SELECT lease_id FROM checkpoints WHERE due_at <= UTC_TIMESTAMP(3) ORDER BY due_at, lease_id LIMIT 2 FOR UPDATE SKIP LOCKED',
    ],
    [
      'leases_state_end',
      "SELECT id FROM leases WHERE state = 'active' AND ends_at <= UTC_TIMESTAMP(3) ORDER BY ends_at, id LIMIT 50 FOR UPDATE SKIP LOCKED",
    ],
  ])('R25: %s serves the filter and the order', async (index, sql) => {
    const [plan] = await rows<Plan>(database.db, `EXPLAIN ${sql}`);
    expect(plan).toMatchObject({ key: index });
    expect(plan?.Extra).not.toMatch(/filesort|temporary/);
  });
});
