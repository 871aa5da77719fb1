import { describe, expect, it } from '@jest/globals';
import { eventually } from '../../lab';
import type { TestApi } from '../../support/api';
import { aNode, type TestNode } from '../../support/builders';
import { age, count, row, rows } from '../../support/database';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import { callAsNode } from '../../support/machine';
import type { Node } from '../../../src/contract';

const database = useTestDatabase({ resetEach: true });
const api = useTestApi(database);
const user = useUser(database);
const admin = useUser(database, { role: 'admin' });

const ROOMY = { load1: 0.1, memory_free_mb: 1800, disk_free_mb: 50_000 };
const say = async (node: TestNode, vitals: object): Promise<void> => {
  expect((await callAsNode(api.url, { credential: node.credential, name: 'heartbeat', body: { ...ROOMY, ...vitals } })).status).toBe(200);
};
const bandOf = async ({ id }: TestNode): Promise<number> =>
  (await row<{ use_band: number }>(database.db, 'SELECT use_band FROM nodes WHERE id = ?', [id])).use_band;
const untilBand = (node: TestNode, band: number): Promise<unknown> =>
  eventually(async () => (await bandOf(node)) === band, { what: `the node is in band ${band}`, timeoutMs: 10_000, everyMs: 20 });
const shown = async ({ id }: TestNode): Promise<Node> => {
  const found = (await api.call<{ items: Node[] }>('get', '/api/nodes', { as: admin })).body.items.find((node) => node.id === id);
  if (!found) {
    throw new Error('the node is not listed');
  }
  return found;
};
const rent = (): ReturnType<TestApi['call']> =>
  api.call('post', '/api/rent', {
    as: user,
    body: { duration_minutes: 10, ssh_public_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGxH5PZ7dGkY9rVn6mVwqWw3mcmNU8dBvVnQ1bqv1r0l' },
  });
/** Everything is as before the rent. */
const giveBack = async (): Promise<void> => {
  await age(database.db, "UPDATE placements SET state = 'wiped', current_lease_id = NULL");
  await age(database.db, 'UPDATE nodes SET lease_id = NULL, dirty = 0');
  await age(database.db, "UPDATE leases SET state = 'ended', occupied_node_id = NULL");
};

describe('of two machines that fit equally', () => {
  it('R5, R45: the idle one is leased, 50 of 50 times, whichever has the lower id', async () => {
    const [first, second] = [await aNode(database.db), await aNode(database.db)];
    for (const [idle, busy] of [
      [first, second],
      [second, first],
    ] as const) {
      await Promise.all([say(busy, { load1: 2 }), say(idle, {})]);
      await Promise.all([untilBand(busy, 1), untilBand(idle, 0)]);
      const taken: number[] = [];
      for (let i = 0; i < 25; i += 1) {
        const { status } = await rent();
        expect(status).toBe(201);
        taken.push((await row<{ id: number }>(database.db, 'SELECT id FROM nodes WHERE lease_id IS NOT NULL')).id);
        await giveBack();
      }
      expect(taken).toEqual(Array<number>(25).fill(idle.id));
    }
  }, 120_000);

  it('R5: the busy one is leased when it is the only one', async () => {
    const busy = await aNode(database.db);
    await say(busy, { load1: 64, memory_free_mb: 210 });
    await untilBand(busy, 2);
    expect((await rent()).status).toBe(201);
  });
});

describe('a machine whose disk is full', () => {
  it('R5: is out of service, its owner sees why, and it comes back by itself, with room to spare', async () => {
    const node = await aNode(database.db);
    await say(node, { disk_free_mb: 700 });
    await untilBand(node, 3);
    expect(await shown(node)).toMatchObject({
      status: 'alive',
      free: false,
      use: 'short',
      status_reason: 'too little free disk: 700 MB. It is leased again by itself with 1536 MB',
    });
    expect(await rent()).toMatchObject({ status: 503, body: { code: 'no_node_free' } });
    expect((await api.call<{ items: unknown[] }>('get', '/api/nodes', { as: user })).body.items).toEqual([]);
    await say(node, { disk_free_mb: 1200 });
    await eventually(
      async () => (await shown(node)).status_reason === 'too little free disk: 1200 MB. It is leased again by itself with 1536 MB',
      { what: 'the reason follows', timeoutMs: 5000 },
    );
    expect(await bandOf(node)).toBe(3);
    await say(node, { disk_free_mb: 5000 });
    await untilBand(node, 0);
    expect(await shown(node)).toMatchObject({ free: true, use: 'idle', status_reason: null });
    expect(await rows(database.db, 'SELECT type FROM events WHERE node_id = ? ORDER BY id', [node.id])).toEqual([
      { type: 'node.short' },
      { type: 'node.roomy' },
    ]);
    expect((await rent()).status).toBe(201);
  });

  it('R5: keeps the lease that is on it', async () => {
    const node = await aNode(database.db);
    expect((await rent()).status).toBe(201);
    await say(node, { memory_free_mb: 20 });
    await untilBand(node, 3);
    expect(await count(database.db, "SELECT COUNT(*) FROM leases WHERE occupied_node_id = ? AND state = 'active'", [node.id])).toBe(1);
  });
});

describe('what is said while a claim holds the node', () => {
  it('R5: keeps no heartbeat waiting, and counts afterwards', async () => {
    const node = await aNode(database.db);
    const held = await database.db.transaction();
    await held.raw('SELECT id FROM nodes WHERE id = ? FOR UPDATE', [node.id]);
    const startedAt = performance.now();
    await say(node, { load1: 50 });
    expect(performance.now() - startedAt).toBeLessThan(1000);
    // Longer than a judgement waits: it has met the row by now.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(await bandOf(node)).toBe(0);
    await held.rollback();
    await untilBand(node, 2);
  });
});
