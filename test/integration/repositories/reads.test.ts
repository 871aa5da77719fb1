import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { findNextEnd } from '../../../src/modules/leases';
import { countFleet, couldEverSatisfy, lookAround, listFreeNodes, listNodes, listNodesOfUser } from '../../../src/modules/nodes';
import { aUser } from '../../support/builders';
import { rows } from '../../support/database';
import { close, useForAll, useTestDatabase } from '../../support/hooks';
import { openRowCounter } from '../../support/rows-read';

const NODES = 10_000;
const FREE = 200;
const PAGE = 100;

const database = useTestDatabase();
const counter = useForAll(() => openRowCounter(database.access), close);
let tenantId: number;

/**
 * All nodes are leased but the last ones; the tenant has one lease in fifty of those that run, and a long history. One node in fifty has
 * been dead for long, some have just begun to fail.
 */
async function fill(db: Knex): Promise<void> {
  const raw = (sql: string, bindings: number[] = []): Promise<unknown> => db.raw(sql, bindings);
  const other = (await aUser(db)).id;
  tenantId = (await aUser(db)).id;
  await raw(
    `INSERT INTO nodes (hostname, address, ssh_port, host_key, host_key_fingerprint, status, dirty, cpus, memory_mb, labels, facts, next_uid, last_checked_at, probe_due_at, last_death_at)
     SELECT CONCAT('n', seq), '127.0.0.1', 22, 'k', CONCAT('f', seq), IF(seq % 50 = 0, 'dead', IF(seq % 1000 = 7, 'suspect', 'alive')), 0, 1 + seq % 8, 1024, '{}', '{}', 70000,
            UTC_TIMESTAMP(3) - INTERVAL 10 SECOND, UTC_TIMESTAMP(3) + INTERVAL 10 + seq % 20 MINUTE, IF(seq % 50 = 0, UTC_TIMESTAMP(3) - INTERVAL 3 DAY, NULL) FROM seq_1_to_${NODES}`,
  );
  await raw("INSERT INTO rents (user_id, request_hash) VALUES (?, 'h')", [other]);
  const lease = (columns: string, values: string): string =>
    `INSERT INTO leases (rent_id, user_id, requirements, public_keys, created_at, ${columns}) SELECT (SELECT MIN(id) FROM rents), ${values}`;
  await raw(
    lease(
      'state, ends_at, ended_at',
      `?, '{}', '[]', UTC_TIMESTAMP(3) - INTERVAL 2 DAY, 'ended', UTC_TIMESTAMP(3) - INTERVAL 1 DAY, UTC_TIMESTAMP(3) FROM seq_1_to_5000`,
    ),
    [tenantId],
  );
  await raw(
    lease(
      'state, ends_at, occupied_node_id',
      `IF(id % 50 = 1, ?, ?), '{}', '[]', UTC_TIMESTAMP(3), 'active', UTC_TIMESTAMP(3) + INTERVAL id SECOND, id
     FROM nodes WHERE leasable = 1 AND id <= (SELECT MAX(id) FROM nodes) - ${FREE}`,
    ),
    [tenantId, other],
  );
  await raw('UPDATE nodes JOIN leases ON leases.occupied_node_id = nodes.id SET nodes.lease_id = leases.id');
  await rows(db, 'ANALYZE TABLE nodes, leases');
}

beforeAll(() => fill(database.db), 60_000);

describe(`with ${NODES} nodes, what is asked often looks at few of them`, () => {
  it.each<[string, number, (db: Knex) => Promise<unknown>]>([
    ['a page of all nodes', 5 * PAGE, (db) => listNodes(db, { afterId: 100, limit: PAGE })],
    ['a page of those with a status', 6 * PAGE, (db) => listNodes(db, { afterId: 0, limit: PAGE, status: 'alive' })],
    ['a page of those with a rare status', 6 * PAGE, (db) => listNodes(db, { afterId: 0, limit: PAGE, status: 'suspect' })],
    ['a page of what a user may see', 12 * PAGE, (db) => listNodes(db, { afterId: 0, limit: PAGE, visibleToUserId: tenantId })],
    ['the same with a status', 12 * PAGE, (db) => listNodes(db, { afterId: 0, limit: PAGE, visibleToUserId: tenantId, status: 'alive' })],
    ['a page of free nodes', 10 * PAGE, (db) => listFreeNodes(db, { afterId: 0, limit: PAGE })],
    ["a user's own nodes", 14 * PAGE, (db) => listNodesOfUser(db, tenantId)],
    ['judging the fleet', 6 * PAGE, (db) => countFleet(db, 60)],
    ['looking around after a failure', 200, (db) => lookAround(db)],
    ['when the next lease ends', 20, (db) => findNextEnd(db)],
    ['whether any node could ever do', 20, (db) => couldEverSatisfy(db, { cpus: 1000, memoryMb: 0, labels: {} }, 1)],
  ])('%s', async (_what, most, work) => {
    expect(await counter.rowsRead(work)).toBeLessThanOrEqual(most);
  });

  it('R15: pages of a user hold what is free and his own, each once, in order', async () => {
    const wanted = await rows<{ id: number }>(
      database.db,
      'SELECT id FROM nodes WHERE leasable = 1 OR lease_id IN (SELECT l.id FROM leases l WHERE l.user_id = ?) ORDER BY id',
      [tenantId],
    );
    const listed: number[] = [];
    for (let page = await listNodes(database.db, { afterId: 0, limit: 150, visibleToUserId: tenantId }); page.length > 0;) {
      listed.push(...page.map(({ id }) => id));
      page = await listNodes(database.db, { afterId: page.at(-1)?.id ?? 0, limit: 150, visibleToUserId: tenantId });
    }
    expect(listed.length).toBeGreaterThan(FREE);
    expect(listed).toEqual(wanted.map(({ id }) => id));
    expect(await listNodes(database.db, { afterId: 0, limit: 150, visibleToUserId: tenantId, status: 'dead' })).toEqual([]);
  });
});
