import { describe, expect, it, jest } from '@jest/globals';
import { expirePending } from '../../../src/flows/enrolment/pending-nodes';
import { fingerprintOf } from '../../../src/lib/host-key';
import type { TestApi } from '../../support/api';
import { aNode } from '../../support/builders';
import { createTestContext } from '../../support/context';
import { age, count, row, rows } from '../../support/database';
import { aMachine, enrol, type MachineBody } from '../../support/enrol';
import { createFakeProvisioner } from '../../support/fake-provisioner';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import type { RegisteredJson, Reply } from '../../support/wire';

jest.setTimeout(60_000);

/** Room for 24 machines: 3 of one network, 12 of one customer with many IPv6 networks. */
const ROOM = 24;

const database = useTestDatabase({ resetEach: true });
const options = { settings: { trustProxy: 'loopback' }, flows: { maxPendingNodes: ROOM } };
const api = useTestApi(database, options);
const replicas = [api, useTestApi(database, { ...options, ownPool: true })];
const admin = useUser(database, { role: 'admin' });

/** Strangers' machines, that come at once over all replicas. */
const comeFrom = (n: number, addressOf: (i: number) => string): Promise<Reply<RegisteredJson>[]> =>
  Promise.all(Array.from({ length: n }, (_, i) => enrol(replicas[i % 2] as TestApi, aMachine(), { from: addressOf(i) })));
const admitted = (answers: Reply<unknown>[]): number => answers.filter(({ status }) => status === 202).length;
const expire = (): Promise<unknown> => expirePending(createTestContext(database.db, createFakeProvisioner()));
const pending = (): Promise<number> => count(database.db, "SELECT COUNT(*) FROM nodes WHERE status = 'pending'");
const events = (type: string): Promise<Record<string, unknown>[]> =>
  rows(database.db, 'SELECT node_id, actor, data FROM events WHERE type = ?', [type]);
const silentFor = (id: number, minutes: number): Promise<void> =>
  age(
    database.db,
    'UPDATE nodes JOIN heartbeats ON node_id = id SET registered_at = UTC_TIMESTAMP(3) - INTERVAL ? MINUTE, heartbeats.last_heartbeat_at = UTC_TIMESTAMP(3) - INTERVAL ? MINUTE WHERE id = ?',
    [minutes, minutes, id],
  );
const sendHeartbeat = (credential: string | undefined, body: object = {}): Promise<Reply<unknown>> =>
  api.call('post', '/api/workers/heartbeat', { as: credential ?? '', body });

describe('machines that wait for approval', () => {
  it('R1: are few, however many come at once: of one network, of one customer, and in all', async () => {
    const ofNetwork = await comeFrom(10, (i) => `2001:db8:1:101::${i + 1}`);
    expect(admitted(ofNetwork)).toBe(3);
    const refused = ofNetwork.find(({ status }) => status !== 202);
    expect(refused).toMatchObject({ status: 429, body: { code: 'too_many_requests' } });
    expect(refused?.body.detail).toMatch(/from this network wait.*orion token create/);
    expect(Number(refused?.headers['retry-after'])).toBe(60);
    expect(admitted(await comeFrom(20, (i) => `2001:db8:1:1${(i + 16).toString(16)}::1`))).toBe(12 - 3);
    expect(admitted(await comeFrom(20, (i) => `10.0.0.${i}`))).toBe(ROOM - 12);
    expect(await pending()).toBe(ROOM);
    expect((await comeFrom(1, () => '10.1.1.1'))[0]?.body.detail).toMatch(/^Too many machines wait/);
  });

  it('R1: leave room to those with a token, and whoever is approved makes room', async () => {
    const [first] = await comeFrom(ROOM, (i) => `10.0.${i}.1`);
    const { body } = await api.call<{ token: string }>('post', '/api/tokens', { as: admin, body: { name: 'lab' } });
    expect((await enrol(api, aMachine(), { joinToken: body.token, from: '10.0.0.1' })).status).toBe(201);
    expect((await enrol(api, aMachine(), { from: '10.99.0.1' })).status).toBe(429);
    const { host_key: hostKey } = await row<{ host_key: string }>(database.db, 'SELECT host_key FROM nodes WHERE id = ?', [
      first?.body.node_id ?? 0,
    ]);
    expect(
      (
        await api.call('post', `/api/nodes/${first?.body.node_id ?? 0}/approve`, {
          as: admin,
          body: { host_key_fingerprint: fingerprintOf(hostKey) },
        })
      ).status,
    ).toBe(200);
    expect((await enrol(api, aMachine(), { from: '10.99.0.1' })).status).toBe(202);
  });

  it('R3: one that registers again and again, under other names, with and without its credential, takes one row', async () => {
    const machine: MachineBody = aMachine();
    const { body } = await enrol(api, machine);
    for (let i = 0; i < 5; i += 1) {
      expect((await enrol(api, { ...machine, hostname: `name-${i}` }, { credential: body.credential ?? '' })).status).toBe(202);
    }
    expect([await pending(), (await events('node.registered')).length]).toEqual([1, 1]);
  });

  it('R3: another host key, in a heartbeat or a registration, makes of it no node in quarantine that stays', async () => {
    const machine = aMachine();
    const { body } = await enrol(api, machine);
    expect((await sendHeartbeat(body.credential, { host_key: anSshKey() })).status).toBe(200);
    expect(await enrol(api, { ...machine, host_key: anSshKey() }, { credential: body.credential ?? '' })).toMatchObject({
      status: 409,
      body: { code: 'host_key_changed' },
    });
    expect([await pending(), await count(database.db, 'SELECT COUNT(*) FROM nodes'), (await events('node.quarantined')).length]).toEqual([
      1, 1, 0,
    ]);
  });

  it('R6: those that come and go leave nothing behind but the record of it', async () => {
    const left = (): Promise<number[]> =>
      Promise.all(['nodes', 'heartbeats', 'tunnels'].map((table) => count(database.db, `SELECT COUNT(*) FROM ${table}`)));
    const before = await left();
    for (let i = 0; i < 3; i += 1) {
      const { body } = await enrol(api, aMachine());
      expect(await api.call('post', '/api/workers/leave', { as: body.credential ?? '' })).toMatchObject({
        status: 200,
        body: { left: true },
      });
    }
    expect(await left()).toEqual(before);
  });
});

describe('the wait for approval', () => {
  it('R1: is over when the agent has been silent for an hour; an operator sees it, the agent is told, and the machine enrols anew', async () => {
    const machine = aMachine();
    const { body } = await enrol(api, machine);
    await silentFor(body.node_id, 59);
    await expire();
    expect(await pending()).toBe(1);
    await silentFor(body.node_id, 61);
    await expire();
    expect(await count(database.db, 'SELECT COUNT(*) FROM nodes')).toBe(0);
    expect(await events('node.expired')).toEqual([
      { node_id: body.node_id, actor: 'test', data: { hostname: 'edge-1', address: '127.0.0.1', registered_at: expect.any(String) } },
    ]);
    const answer = await sendHeartbeat(body.credential);
    expect(answer).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    expect(answer.body.detail).toContain('waited for approval too long');
    expect(await enrol(api, machine)).toMatchObject({ status: 202, body: { status: 'pending', credential: expect.any(String) } });
  });

  it('R1: is over after seven days, however often the agent calls', async () => {
    const { body } = await enrol(api, aMachine());
    await age(database.db, 'UPDATE nodes SET created_at = UTC_TIMESTAMP(3) - INTERVAL 167 HOUR WHERE id = ?', [body.node_id]);
    await expire();
    expect(await pending()).toBe(1);
    await age(database.db, 'UPDATE nodes SET created_at = UTC_TIMESTAMP(3) - INTERVAL 169 HOUR WHERE id = ?', [body.node_id]);
    await expire();
    expect(await pending()).toBe(0);
  });

  it('I8: is not over because the control plane itself was away, and no approved node is ever forgotten', async () => {
    const waiting = (await enrol(api, aMachine())).body.node_id;
    await age(database.db, 'UPDATE control_plane SET judged_since = UTC_TIMESTAMP(3)');
    await silentFor(waiting, 300);
    const others = await Promise.all(
      (['unknown', 'alive', 'suspect', 'dead', 'quarantined', 'retired'] as const).map((status) => aNode(database.db, { status })),
    );
    await Promise.all(others.map(({ id }) => silentFor(id, 20_000)));
    await expire();
    expect(await count(database.db, 'SELECT COUNT(*) FROM nodes')).toBe(1 + others.length);
  });

  it('R25: many schedulers end it once', async () => {
    const ids = (await comeFrom(10, (i) => `10.0.${i}.1`)).map(({ body }) => body.node_id);
    await Promise.all(ids.map((id) => silentFor(id, 61)));
    await Promise.all([expire(), expire(), expire()]);
    expect([await pending(), (await events('node.expired')).length]).toEqual([0, 10]);
  });
});
