import { beforeEach, describe, expect, it } from '@jest/globals';
import { fingerprintOf } from '../../../src/lib/host-key';
import type { MarkAnswer } from '../../../src/ssh';
import { aLease, aNode, aUser, type NodeOptions, type TestNode } from '../../support/builders';
import { age, row, rows } from '../../support/database';
import type { Node } from '../../../src/contract';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import type { Reply } from '../../support/wire';

const database = useTestDatabase({ resetEach: true });
const api = useTestApi(database, { findMark: () => Promise.resolve(shown) });
const admin = useUser(database, { role: 'admin' });
let shown: MarkAnswer;
beforeEach(() => {
  shown = 'no_answer';
});

const at = async (address: string, options: NodeOptions): Promise<TestNode> => {
  const node = await aNode(database.db, options);
  await age(database.db, 'UPDATE nodes SET address = ? WHERE id = ?', [address, node.id]);
  return node;
};
const listed = async (): Promise<Node[]> => (await api.call<{ items: Node[] }>('get', '/api/nodes', { as: admin })).body.items;
const pairs = async (): Promise<unknown[]> =>
  (await listed()).map(({ id, predecessor_id: predecessor, successor_id: successor }) => [id, predecessor, successor]);
const approve = (
  node: TestNode,
  old: TestNode,
  body: object = { host_key_fingerprint: fingerprintOf(node.hostKey) },
): Promise<Reply<Node>> => api.call('post', `/api/nodes/${node.id}/approve`, { as: admin, body: { ...body, replaces: old.id } });
const statusOf = async ({ id }: TestNode): Promise<string> =>
  (await row<{ status: string }>(database.db, 'SELECT status FROM nodes WHERE id = ?', [id])).status;

describe('a machine that was installed anew', () => {
  it('R1: is shown with the row that it had, which is out of service at the same address; others are not', async () => {
    const old = await at('10.0.0.1', { status: 'quarantined' });
    const other = await at('10.0.0.2', { status: 'quarantined' });
    const next = await at('10.0.0.1', { status: 'pending' });
    const well = await at('10.0.0.3', {});
    const neighbour = await at('10.0.0.3', {});
    expect(await pairs()).toEqual([
      [old.id, null, next.id],
      [other.id, null, null],
      [next.id, old.id, null],
      [well.id, null, null],
      [neighbour.id, null, null],
    ]);
  });

  it('R1: is approved in the place of its old row, which is retired with it, and both are on record', async () => {
    const [old, next] = [await at('10.0.0.1', { status: 'quarantined' }), await at('10.0.0.1', { status: 'pending' })];
    expect(await approve(next, old)).toMatchObject({ status: 200, body: { id: next.id, status: 'unknown' } });
    expect(await statusOf(old)).toBe('retired');
    expect(await rows(database.db, 'SELECT type, node_id, actor FROM events ORDER BY id')).toEqual([
      { type: 'node.retired', node_id: old.id, actor: `admin:${admin.id}` },
      { type: 'node.approved', node_id: next.id, actor: `admin:${admin.id}` },
    ]);
    // The answer was lost.
    expect((await approve(next, old)).status).toBe(200);
  });

  it('R1: that a join token let in takes the place of its old row, too; the lease that was there goes elsewhere', async () => {
    const [old, next] = [await at('10.0.0.1', { status: 'dead' }), await at('10.0.0.1', {})];
    const lease = await aLease(database.db, { userId: admin.id, nodeId: old.id });
    expect(await approve(next, old, {})).toMatchObject({ status: 200, body: { status: 'alive' } });
    expect(await statusOf(old)).toBe('retired');
    expect(await row(database.db, 'SELECT state FROM leases WHERE id = ?', [lease.id])).toEqual({ state: 'migrating' });
  });

  it('R1: nothing is retired when the fingerprint is wrong', async () => {
    const [old, next] = [await at('10.0.0.1', { status: 'quarantined' }), await at('10.0.0.1', { status: 'pending' })];
    expect(await approve(next, old, { host_key_fingerprint: 'SHA256:other' })).toMatchObject({ status: 409 });
    expect([await statusOf(old), await statusOf(next)]).toEqual(['quarantined', 'pending']);
  });

  it.each<[string, NodeOptions['status'], MarkAnswer]>([
    ['is well', 'alive', 'no_answer'],
    ['answers', 'quarantined', 'not_shown'],
  ])('I3: a row with a lease whose machine %s is not replaced', async (_what, status, answer) => {
    const [old, next] = [await at('10.0.0.1', { status: status ?? 'alive' }), await at('10.0.0.1', { status: 'pending' })];
    await aLease(database.db, { userId: admin.id, nodeId: old.id });
    shown = answer;
    expect(await approve(next, old)).toMatchObject({
      status: 409,
      body: { code: 'state_conflict', detail: expect.stringContaining('Move the lease first') as unknown },
    });
    expect([await statusOf(old), await statusOf(next)]).toEqual([status, 'pending']);
  });

  it('R1: a row at another address, one that is not there, and itself are not replaced', async () => {
    const [old, next] = [await at('10.0.0.2', { status: 'quarantined' }), await at('10.0.0.1', { status: 'pending' })];
    expect(await approve(next, old)).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('they are not one machine') as unknown },
    });
    expect((await approve(next, { ...old, id: 999_999 })).status).toBe(404);
    expect((await approve(next, next)).status).toBe(404);
    expect(await statusOf(next)).toBe('pending');
  });

  it('R1: by an admin alone', async () => {
    const [old, next] = [await at('10.0.0.1', { status: 'quarantined' }), await at('10.0.0.1', { status: 'pending' })];
    const user = await aUser(database.db);
    expect((await api.call('post', `/api/nodes/${next.id}/approve`, { as: user, body: { replaces: old.id } })).status).toBe(403);
    expect(await statusOf(old)).toBe('quarantined');
  });
});
