import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { viewLeases } from '../../../src/flows/leases/view-lease';
import { listUserKeys, listUsers } from '../../../src/modules/accounts';
import { listEventsAfter, listLeaseEvents } from '../../../src/modules/audit';
import { countLeases, type LeaseFilter, listLeases, listPlacementsOfLease } from '../../../src/modules/leases';
import { listFreeNodes, listJoinTokens, listNodes } from '../../../src/modules/nodes';
import { aUser } from '../../support/builders';
import { count, row, rows } from '../../support/database';
import { close, useForAll, useTestDatabase } from '../../support/hooks';
import { openRowCounter } from '../../support/rows-read';

/** With twice as many of each, every page reads the same: what is counted does not depend on these numbers. */
const PAST_LEASES = 120_000;
const NODES = 40_000;
const OTHERS = 50_000;
const PAGE = 100;

const database = useTestDatabase();
const counter = useForAll(() => openRowCounter(database.access), close);
let db: Knex;
/** Has half of all leases that are over, and some of those that run. */
let tenantId: number;
let lastLeaseId: number;

beforeAll(async () => {
  ({ db } = database);
  await fill();
  lastLeaseId = await count(db, 'SELECT MAX(id) FROM leases');
}, 120_000);

/** Half of the nodes are leased; one in fifty is dead. Some running leases are as old as the history, the rest are new. */
async function fill(): Promise<void> {
  const raw = (sql: string, bindings: number[] = []): Promise<unknown> => db.raw(sql, bindings);
  tenantId = (await aUser(db)).id;
  const other = (await aUser(db)).id;
  await raw(
    `INSERT INTO nodes (hostname, address, ssh_port, host_key, host_key_fingerprint, status, dirty, cpus, memory_mb, labels, facts, next_uid)
     SELECT CONCAT('n', seq), '127.0.0.1', 22, 'k', CONCAT('f', seq), IF(seq % 50 = 0, 'dead', 'alive'), 0, 1, 1024, '{}', '{}', 70000 FROM seq_1_to_${NODES}`,
  );
  await raw("INSERT INTO rents (user_id, request_hash) VALUES (?, 'h')", [other]);
  const lease = (columns: string, values: string, bindings: number[]): Promise<unknown> =>
    raw(
      `INSERT INTO leases (rent_id, user_id, requirements, public_keys, created_at, ${columns}) SELECT (SELECT MIN(id) FROM rents), ${values}`,
      bindings,
    );
  const running = (which: string): Promise<unknown> =>
    lease(
      'state, ends_at, occupied_node_id',
      `IF(id % 100 = 1, ?, ?), '{}', '[]', UTC_TIMESTAMP(3), 'active', UTC_TIMESTAMP(3) + INTERVAL 1 DAY, id FROM nodes WHERE ${which}`,
      [tenantId, other],
    );
  await running('id <= 1000');
  await lease(
    'state, ends_at, ended_at',
    `IF(seq % 2, ?, ?), '{}', '[]', UTC_TIMESTAMP(3) - INTERVAL 2 DAY, 'ended', UTC_TIMESTAMP(3) - INTERVAL 1 DAY, UTC_TIMESTAMP(3) FROM seq_1_to_${PAST_LEASES}`,
    [tenantId, other],
  );
  await running('id > 1000 AND (id % 2 = 0 OR id % 100 = 1)');
  await raw('UPDATE nodes JOIN leases ON leases.occupied_node_id = nodes.id SET nodes.lease_id = leases.id');
  await raw(`INSERT INTO placements (lease_id, node_id, generation, current_lease_id, state, username, uid)
     SELECT l.id, l.occupied_node_id, 1, l.id, 'present', CONCAT('orn-', l.id), 70000 + l.id FROM leases l WHERE l.occupied_node_id IS NOT NULL`);
  await raw(`INSERT INTO events (type, actor, lease_id, data) SELECT 'lease.active', 'test', 1 + seq % 1000, '{}' FROM seq_1_to_${OTHERS}`);
  await raw(
    `INSERT INTO users (username, password_hash, max_leases, max_lease_hours) SELECT CONCAT('u', seq), 'none', 5, 24 FROM seq_1_to_${OTHERS}`,
  );
  await raw(`INSERT INTO user_keys (user_id, name, public_key, fingerprint) SELECT id, 'k', 'k', CONCAT('f', id) FROM users`);
  await raw(
    `INSERT INTO join_tokens (name, token_hash, max_uses, labels, expires_at) SELECT 't', SHA2(seq, 256), 1, '{}', UTC_TIMESTAMP(3) FROM seq_1_to_${OTHERS}`,
  );
  await rows(db, 'ANALYZE TABLE nodes, leases, placements, events, users, user_keys, join_tokens');
}

const mine = (change: Partial<LeaseFilter> = {}): LeaseFilter => ({
  ownerId: tenantId,
  runningOnly: false,
  beforeId: undefined,
  limit: PAGE,
  ...change,
});
const everyones = (change: Partial<LeaseFilter> = {}): LeaseFilter => mine({ ownerId: undefined, ...change });

describe('a page of a long list reads a few times as many rows as it gives', () => {
  describe.each([
    ['the first', 0],
    ['in the middle', 0.5],
    ['near the end', 0.98],
    ['the last', 1],
  ])('%s', (_where, part) => {
    const beforeId = (): number | undefined => (part === 0 ? undefined : Math.max(200, Math.round(lastLeaseId * (1 - part))));
    const nodeId = (): number => Math.floor(NODES * part);
    const otherId = (): number => Math.floor(OTHERS * part);
    it.each<[string, (on: Knex) => Promise<unknown>]>([
      ["a user's leases", (on) => listLeases(on, mine({ beforeId: beforeId() }))],
      ["a user's running leases", (on) => listLeases(on, mine({ beforeId: beforeId(), runningOnly: true }))],
      ['all leases', (on) => listLeases(on, everyones({ beforeId: beforeId() }))],
      ['all running leases', (on) => listLeases(on, everyones({ beforeId: beforeId(), runningOnly: true }))],
      [
        'all running leases with where they are',
        async (on) => viewLeases(on, await listLeases(on, everyones({ beforeId: beforeId(), runningOnly: true }))),
      ],
      ['all nodes', (on) => listNodes(on, { afterId: nodeId(), limit: PAGE })],
      ['nodes of a usual status', (on) => listNodes(on, { afterId: nodeId(), limit: PAGE, status: 'alive' })],
      ['nodes of a rare status', (on) => listNodes(on, { afterId: nodeId(), limit: PAGE, status: 'dead' })],
      ['free nodes', (on) => listFreeNodes(on, { afterId: nodeId(), limit: PAGE })],
      ['nodes that a user may see', (on) => listNodes(on, { afterId: nodeId(), limit: PAGE, visibleToUserId: tenantId })],
      [
        'nodes of a status that a user may see',
        (on) => listNodes(on, { afterId: nodeId(), limit: PAGE, visibleToUserId: tenantId, status: 'alive' }),
      ],
      ['users', (on) => listUsers(on, otherId(), PAGE)],
      ['join tokens', (on) => listJoinTokens(on, otherId(), PAGE)],
      ['events', (on) => listEventsAfter(on, otherId(), PAGE)],
    ])('of %s', async (_what, read) => {
      expect(await counter.rowsRead(read)).toBeLessThanOrEqual(14 * PAGE);
    });
  });

  it.each<[string, (on: Knex) => Promise<unknown>]>([
    ["one lease's events", (on) => listLeaseEvents(on, 7, PAGE)],
    ["one lease's accounts", (on) => listPlacementsOfLease(on, 7)],
    ["a user's keys", (on) => listUserKeys(on, tenantId)],
  ])('and so does a list without pages: %s', async (_what, read) => {
    expect(await counter.rowsRead(read)).toBeLessThanOrEqual(14 * PAGE);
  });

  it('counting the leases that run does not read those that are over', async () => {
    expect(await counter.rowsRead((on) => countLeases(on))).toBeLessThan(NODES);
  });
});

describe('the pages of leases', () => {
  it.each<[string, (change: Partial<LeaseFilter>) => LeaseFilter, boolean]>([
    ["a user's running ones", mine, true],
    ['all running ones', everyones, true],
    ["a user's", mine, false],
  ])(
    'hold each once, newest first: %s',
    async (_what, filter, runningOnly) => {
      const wanted = await row<{ n: number; last: number }>(
        db,
        `SELECT COUNT(*) AS n, MIN(id) AS last FROM leases WHERE (? OR user_id = ?) AND (? OR state <> 'ended')`,
        [filter({}).ownerId === undefined, tenantId, !runningOnly],
      );
      const listed: number[] = [];
      for (let page = await listLeases(db, filter({ runningOnly, limit: 5_000 })); page.length > 0;) {
        listed.push(...page.map(({ id }) => id));
        page = await listLeases(db, filter({ runningOnly, limit: 5_000, beforeId: listed.at(-1) }));
      }
      expect({ n: new Set(listed).size, last: listed.at(-1) }).toEqual(wanted);
      expect(listed).toEqual(listed.toSorted((a, b) => b - a));
    },
    60_000,
  );
});
