import { describe, expect, it } from '@jest/globals';
import { fingerprintOf } from '../../../src/lib/host-key';
import { aLease, aNode, aUser, type NodeOptions, type TestNode } from '../../support/builders';
import { age, row } from '../../support/database';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import type { Reply } from '../../support/wire';
import { checksums, expectRefusal } from './support';

const database = useTestDatabase();
const api = useTestApi(database);
const admin = useUser(database, { role: 'admin' });

interface Answer {
  status: string;
  accounts: object[];
}

const sendHeartbeat = (node: TestNode, body: object): Promise<Reply<Answer>> =>
  api.call<Answer>('post', '/api/workers/heartbeat', { as: node.credential, body });
const node = (options: NodeOptions = {}): Promise<TestNode> => aNode(database.db, options);
const stored = (id: number): Promise<Record<string, unknown>> => row(database.db, 'SELECT * FROM nodes WHERE id = ?', [id]);

/** What a heartbeat decides nothing about: who may be sent to the node, and what is known of its health. */
const DECISIVE = [
  'status',
  'dirty',
  'drained',
  'leaving',
  'lease_id',
  'leasable',
  'host_key',
  'host_key_fingerprint',
  'address',
  'ssh_port',
  'labels',
  'cpus',
  'memory_mb',
  'probe_failures',
  'probe_due_at',
  'wipe_due_at',
  'credential_hash',
];
const decisive = async (id: number): Promise<unknown[]> => {
  const all = await stored(id);
  return DECISIVE.map((name) => all[name]);
};

describe('a heartbeat that is sent again', () => {
  it('R2: changes what is shown to people and nothing that anything is decided by', async () => {
    const mine = await node();
    const before = await decisive(mine.id);
    for (const load1 of [1, 2, 1]) {
      expect((await sendHeartbeat(mine, { load1, ssh_port: 9, accounts: ['orn-x'] })).status).toBe(200);
    }
    expect(await decisive(mine.id)).toEqual(before);
  });

  it.each(['dead', 'suspect', 'unknown', 'pending', 'quarantined'] as const)(
    'R20, I6: on a node that is %s makes it no better: only a probe says that it is well',
    async (status) => {
      const mine = await node({ status, dirty: true });
      const before = await decisive(mine.id);
      expect(await sendHeartbeat(mine, { load1: 1, host_key: mine.hostKey })).toMatchObject({ status: 200, body: { status } });
      expect(await decisive(mine.id)).toEqual(before);
    },
  );

  it('R20: with the host key of before the operator accepted a new one, takes the node out of service and never back', async () => {
    const mine = await node();
    const fresh = anSshKey();
    await sendHeartbeat(mine, { host_key: fresh });
    expect(
      (await api.call('post', `/api/nodes/${mine.id}/approve`, { as: admin, body: { host_key_fingerprint: fingerprintOf(fresh) } })).status,
    ).toBe(200);
    expect(await stored(mine.id)).toMatchObject({ host_key: fresh, status: 'unknown', dirty: 1 });
    await sendHeartbeat(mine, { host_key: mine.hostKey });
    expect(await stored(mine.id)).toMatchObject({ host_key: fresh, offered_host_key: mine.hostKey, status: 'quarantined', leasable: 0 });
    expect((await api.call('post', `/api/nodes/${mine.id}/approve`, { as: admin })).status).toBe(409);
  });

  it.each([
    ['left', (mine: TestNode) => api.call('post', '/api/workers/leave', { as: mine.credential })],
    ['was retired', (mine: TestNode) => api.call('post', `/api/nodes/${mine.id}/retire`, { as: admin })],
  ])('R6: after the node %s is refused, and changes nothing', async (_what, go) => {
    const mine = await node();
    expect((await sendHeartbeat(mine, { load1: 1 })).status).toBe(200);
    expect((await go(mine)).status).toBe(200);
    const before = await checksums(database.db);
    for (const body of [{ load1: 1 }, { host_key: mine.hostKey }, { host_key: anSshKey() }]) {
      const answer = await sendHeartbeat(mine, body);
      expectRefusal(answer, JSON.stringify(body));
      expect(answer).toMatchObject({ status: 410, body: { code: 'node_retired' } });
    }
    expectRefusal(
      await api.call('post', '/api/workers/register', { as: mine.credential, body: { hostname: 'back', host_key: mine.hostKey } }),
      'a registration of before',
    );
    expect(await checksums(database.db)).toEqual(before);
  });

  it('R2: is answered with the accounts of now, not with those of then', async () => {
    const mine = await node();
    const tenant = await aUser(database.db);
    const lease = await aLease(database.db, { userId: tenant.id, nodeId: mine.id });
    expect((await sendHeartbeat(mine, {})).body.accounts).toHaveLength(1);
    await api.call('post', '/api/release', { as: tenant, body: { lease_id: lease.id } });
    await age(database.db, "UPDATE placements SET state = 'wiped', wiped_at = UTC_TIMESTAMP(3) WHERE lease_id = ?", [lease.id]);
    expect((await sendHeartbeat(mine, {})).body.accounts).toEqual([]);
  });
});
