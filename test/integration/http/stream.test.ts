import { type ClientRequest, get } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { fingerprintOf } from '../../../src/lib/host-key';
import type { User } from '../../../src/modules/accounts';
import { aLease, aNode, aUser } from '../../support/builders';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import type { Node, Page } from '../../../src/contract';
import { eventually } from '../../lab';

const database = useTestDatabase({ resetEach: true });
const api = useTestApi(database);
const user = useUser(database);
const admin = useUser(database, { role: 'admin' });

interface ServerSent {
  event: string;
  data: Node & { items: Node[] };
}

const open: ClientRequest[] = [];
afterEach(() => open.splice(0).forEach((request) => request.destroy()));

/** Follows the stream until the end of the test. Resolves once the snapshot is there. */
async function watch(as: User): Promise<ServerSent[]> {
  const events: ServerSent[] = [];
  let text = '';
  const request = get(`${api.url}/api/nodes/stream`, { headers: { Authorization: `Bearer ${api.tokenOf(as)}` } }, (response) => {
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      events.push(...blocks.flatMap(parse));
    });
  }).on('error', () => undefined);
  open.push(request);
  await eventually(() => events.some(({ event }) => event === 'snapshot'), { what: 'the snapshot' });
  return events;
}

function parse(block: string): ServerSent[] {
  const [, event = '', data = ''] = /^event: (.+)\ndata: (.+)$/.exec(block) ?? [];
  return event === '' ? [] : [{ event, data: JSON.parse(data) as ServerSent['data'] }];
}

const rent = (as: User): Promise<{ status: number }> =>
  api.call('post', '/api/rent', { as, body: { duration_hours: 1, ssh_public_key: anSshKey() } });

describe('watching the fleet', () => {
  it('R15: users see what is free and their own, admins see everything with its details', async () => {
    const [free, mine, theirs, dead] = [
      await aNode(database.db),
      await aNode(database.db),
      await aNode(database.db),
      await aNode(database.db, { status: 'dead' }),
    ];
    const lease = await aLease(database.db, { userId: user.id, nodeId: mine.id });
    await aLease(database.db, { userId: admin.id, nodeId: theirs.id });
    const seen = await api.call<Page<Node>>('get', '/api/nodes', { as: user });
    expect(seen.body.items.map(({ id, free: isFree, lease_id }) => [id, isFree, lease_id])).toEqual([
      [free.id, true, null],
      [mine.id, false, lease.id],
    ]);
    expect(seen.text).not.toMatch(/address|host_key|facts|status_reason/);

    const all = await api.call<Page<Node>>('get', '/api/nodes?limit=3', { as: admin });
    expect(all.body.items.map(({ id }) => id)).toEqual([free.id, mine.id, theirs.id]);
    expect(all.body.items[0]?.address).toBe('127.0.0.1');
    const rest = await api.call<Page<Node>>('get', `/api/nodes?status=dead&cursor=${all.body.next_cursor ?? ''}`, { as: admin });
    expect(rest.body.items.map(({ id }) => id)).toEqual([dead.id]);
    expect(all.text).not.toContain(free.credential);
  });

  it('R15: a change is told to whoever may see it, from the moment of the snapshot on', async () => {
    const node = await aNode(database.db);
    const other = await aUser(database.db);
    const [watching, asOther, asAdmin] = await Promise.all([watch(user), watch(other), watch(admin)]);
    expect(watching[0]).toMatchObject({ event: 'snapshot', data: { items: [{ id: node.id, free: true }] } });
    expect((await rent(user)).status).toBe(201);
    const mine = await eventually(() => watching.find(({ event }) => event === 'node'), { what: 'the change is told to the tenant' });
    expect(mine.data).toMatchObject({ id: node.id, free: false, lease_id: expect.any(Number) });
    expect(await eventually(() => asOther.find(({ event }) => event === 'gone'), { what: 'the node is gone for others' })).toMatchObject({
      data: { id: node.id },
    });
    expect(asOther.some(({ event }) => event === 'node')).toBe(false);
    const full = await eventually(() => asAdmin.find(({ event }) => event === 'node'), { what: 'the change is told to admins' });
    expect(full.data.address).toBe('127.0.0.1');
  });

  it('R15: whoever comes later is told of changes from then on', async () => {
    await aNode(database.db);
    const first = await watch(user);
    await rent(user);
    await eventually(() => first.some(({ event }) => event === 'node'), { what: 'the first change' });
    const second = await watch(admin);
    const node = await aNode(database.db, { status: 'pending' });
    await api.call('post', `/api/nodes/${node.id}/approve`, { as: admin, body: { host_key_fingerprint: fingerprintOf(node.hostKey) } });
    expect(
      (await eventually(() => second.find(({ event, data }) => event === 'node' && data.id === node.id), { what: 'the approval' })).data
        .status,
    ).toBe('unknown');
  });
});
