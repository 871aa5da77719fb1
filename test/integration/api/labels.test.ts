import { describe, expect, it, jest } from '@jest/globals';
import { startTestApi, type TestApi } from '../../support/api';
import { aNode } from '../../support/builders';
import { age, row, rows } from '../../support/database';
import { aMachine, enrol, type MachineBody } from '../../support/enrol';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import type { IssuedJoinToken, Node } from '../../../src/contract';
import type { Reply } from '../../support/wire';

jest.setTimeout(60_000);

const database = useTestDatabase({ resetEach: true });
const api = useTestApi(database);
const admin = useUser(database, { role: 'admin' });

const aToken = async (body: object = {}): Promise<string> =>
  (await api.call<IssuedJoinToken>('post', '/api/tokens', { as: admin, body: { name: 'lab', max_uses: 100, ...body } })).body.token;
const many = (n: number, prefix = 'l'): Record<string, string> =>
  Object.fromEntries(Array.from({ length: n }, (_, i) => [`${prefix}${i}`, 'x'.repeat(63)]));
const order = (id: number, verb: string, body: object): Promise<Reply<Node>> =>
  api.call<Node>('post', `/api/nodes/${id}/${verb}`, { as: admin, body });

interface Stored {
  labels: Record<string, string>;
  cpus: number;
  memory_mb: number;
}
const stored = (id: number): Promise<Stored> => row<Stored>(database.db, 'SELECT labels, cpus, memory_mb FROM nodes WHERE id = ?', [id]);
const makeFree = (id: number): Promise<void> => age(database.db, "UPDATE nodes SET status = 'alive', dirty = 0 WHERE id = ?", [id]);

/** A machine that has joined, and how it registers again with other words about itself. */
async function aMember(
  change: object = {},
  token: object = {},
): Promise<{ id: number; again: (change: object) => Promise<Reply<unknown>> }> {
  const machine: MachineBody = aMachine(change);
  const { body } = await enrol(api, machine, { joinToken: await aToken(token) });
  return { id: body.node_id, again: (other) => enrol(api, { ...machine, ...other }, { credential: body.credential ?? '' }) };
}

const rentWith = (labels: object): Promise<Reply<{ leases: { node: { id: number } }[] }>> =>
  api.call('post', '/api/rent', { as: admin, body: { duration_hours: 1, ssh_public_key: anSshKey(), requirements: { labels } } });

describe('what a node says of itself', () => {
  it('R5: is never taken for what an operator said: its labels match under node/ alone', async () => {
    const liar = await aMember({ labels: { room: 'vault', gpu: 'a100' } });
    await makeFree(liar.id);
    expect(await rentWith({ room: 'vault' })).toMatchObject({ status: 503, body: { code: 'no_node_free', could_be_satisfied: false } });
    const list = await api.call('get', '/api/nodes', { as: admin });
    expect(list.body).toMatchObject({ items: [{ labels: { 'node/room': 'vault', 'node/gpu': 'a100' } }] });
    expect(await rentWith({ 'node/gpu': 'a100' })).toMatchObject({ status: 201, body: { leases: [{ node: { id: liar.id } }] } });
  });

  it('R3: replaces what it said before, and never what an operator said, however often it registers', async () => {
    const node = await aMember({ labels: { rack: '7' } }, { labels: { zone: 'lab', rack: '1' } });
    await order(node.id, 'label', { set: { room: 'lab-1' } });
    for (let i = 0; i < 5; i += 1) {
      expect((await node.again({ labels: { ...many(31, `n${i}-`), zone: 'mine' } })).status).toBe(200);
    }
    const { labels } = await stored(node.id);
    expect(Object.keys(labels)).toHaveLength(3 + 32);
    expect(labels).toMatchObject({ zone: 'lab', rack: '1', room: 'lab-1', 'node/zone': 'mine', 'node/n4-0': 'x'.repeat(63) });
    expect(JSON.stringify(labels).length).toBeLessThan(64 * (63 + 68 + 6));
    await node.again({ labels: {} });
    expect((await stored(node.id)).labels).toEqual({ zone: 'lab', rack: '1', room: 'lab-1' });
  });

  it('R3: a machine that joins anew keeps the labels of operators, and gets those of its token', async () => {
    const machine = aMachine();
    const first = await enrol(api, machine, { joinToken: await aToken({ labels: { zone: 'a', rack: '1' } }) });
    await enrol(api, { ...machine, labels: { zone: 'mine' } }, { joinToken: await aToken({ labels: { zone: 'b' } }) });
    expect((await stored(first.body.node_id)).labels).toEqual({ zone: 'b', rack: '1', 'node/zone': 'mine' });
  });

  it('R5: processors and memory beyond the caps of the token count for nothing', async () => {
    const facts = { cpus: 4096, memory_mb: 1_000_000_000 };
    const node = await aMember({ facts }, { max_cpus: 8, max_memory_mb: 16_384 });
    expect(await stored(node.id)).toMatchObject({ cpus: 8, memory_mb: 16_384 });
    await node.again({ facts });
    expect(await stored(node.id)).toMatchObject({ cpus: 8, memory_mb: 16_384 });
    expect(await order(node.id, 'limit', { max_cpus: 2 })).toMatchObject({
      status: 200,
      body: { cpus: 2, max_cpus: 2, max_memory_mb: null },
    });
    await node.again({ facts });
    expect(await stored(node.id)).toMatchObject({ cpus: 2, memory_mb: 1_000_000_000 });
    expect((await node.again({ facts: { cpus: 4097 } })).status).toBe(400);
  });
});

describe('what operators say of a node', () => {
  it('R45: labels are set and taken off, on record with who did it', async () => {
    const node = await aNode(database.db, { labels: { zone: 'a', 'node/gpu': 'a100' } });
    expect(await order(node.id, 'label', { set: { room: 'lab-1' }, remove: ['zone', 'never-there'] })).toMatchObject({
      status: 200,
      body: { labels: { room: 'lab-1', 'node/gpu': 'a100' } },
    });
    expect((await rentWith({ room: 'lab-1' })).status).toBe(201);
    const events = await rows<{ type: string; actor: string; data: object }>(
      database.db,
      "SELECT type, actor, data FROM events WHERE type = 'node.labelled'",
    );
    expect(events).toEqual([
      { type: 'node.labelled', actor: `admin:${admin.id}`, data: { before: { zone: 'a' }, after: { room: 'lab-1' } } },
    ]);
    await order(node.id, 'limit', { max_memory_mb: 512 });
    const limits = { before: { maxCpus: null, maxMemoryMb: null }, after: { maxCpus: null, maxMemoryMb: 512 } };
    expect(await rows(database.db, "SELECT actor, data FROM events WHERE type = 'node.limited'")).toEqual([
      { actor: `admin:${admin.id}`, data: limits },
    ]);
  });

  it('R45: are no more than 32 labels, whatever orders and tokens come together', async () => {
    const node = await aMember({}, { labels: many(20) });
    expect(await order(node.id, 'label', { set: many(13, 'm') })).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
    expect((await order(node.id, 'label', { set: many(12, 'm') })).status).toBe(200);
    expect((await order(node.id, 'label', { set: { another: 'x' }, remove: ['m0'] })).status).toBe(200);
  });

  it.each([
    ['a label in the name of the node', { set: { 'node/gpu': 'a100' } }],
    ['to take off what the node declares', { remove: ['node/gpu'] }],
    ['a name with a blank', { set: { 'a b': 'c' } }],
    ['33 labels', { set: many(33) }],
    ['what is no name', { remove: ['$(id)'] }],
    ['what it does not know', { other: 1 }],
  ])('R45: refuses %s', async (_what, body) => {
    const { id } = await aNode(database.db);
    expect((await order(id, 'label', body)).status).toBe(400);
  });

  it('R45: a token cannot carry labels in the name of its machines', async () => {
    expect((await api.call('post', '/api/tokens', { as: admin, body: { name: 'x', labels: { 'node/gpu': 'a' } } })).status).toBe(400);
  });
});

describe('a node of the release before', () => {
  it('R5: keeps matching by all labels that it had, also after it registers again; an operator can take them off', async () => {
    const node = await aMember({ labels: { gpu: 'a100' } });
    await age(database.db, `UPDATE nodes SET labels = '{"zone":"lab","gpu":"a100"}', operator_labels = NULL WHERE id = ?`, [node.id]);
    await makeFree(node.id);
    expect((await rentWith({ gpu: 'a100', zone: 'lab' })).status).toBe(201);
    await node.again({ labels: { gpu: 'h100' } });
    expect((await stored(node.id)).labels).toEqual({ zone: 'lab', gpu: 'a100', 'node/gpu': 'h100' });
    await order(node.id, 'label', { remove: ['gpu'] });
    expect((await stored(node.id)).labels).toEqual({ zone: 'lab', 'node/gpu': 'h100' });
  });

  it('R3: what a replica of the release before merged into the labels goes with the next registration', async () => {
    const node = await aMember({ labels: { gpu: 'a100' } }, { labels: { zone: 'lab' } });
    await age(database.db, `UPDATE nodes SET labels = '{"zone":"lab","node/gpu":"a100","room":"vault"}' WHERE id = ?`, [node.id]);
    await node.again({ labels: {} });
    expect((await stored(node.id)).labels).toEqual({ zone: 'lab' });
  });

  it('R45: that has more labels than the limit may lose some, and gets no more', async () => {
    const node = await aMember();
    await age(database.db, 'UPDATE nodes SET labels = ?, operator_labels = NULL WHERE id = ?', [JSON.stringify(many(5000)), node.id]);
    expect((await node.again({ labels: { a: 'b' } })).status).toBe(200);
    expect((await order(node.id, 'label', { remove: ['l0'] })).status).toBe(200);
    expect((await order(node.id, 'label', { set: { another: 'x' } })).status).toBe(409);
    expect(Object.keys((await stored(node.id)).labels)).toHaveLength(5000);
  });
});

describe('a machine that registers in a loop', () => {
  it('R16: is let through as often as the limit says, by all replicas together, and another one is not kept waiting', async () => {
    const replicas = await Promise.all(
      [database.db, database.secondPool()].map((db) => startTestApi(db, { limits: { registrationsPerNode: 4 } })),
    );
    try {
      const machines = [aMachine(), aMachine()] as const;
      const [eve, ada] = await Promise.all(machines.map(async (machine) => enrol(api, machine, { joinToken: await aToken() })));
      const again = (n: number, [machine, member]: [MachineBody, typeof eve]): Promise<Reply<unknown>> =>
        enrol(replicas[n % 2] as TestApi, machine, { credential: member?.body.credential ?? '' });
      // One after the other: of two at once the one with the older challenge is refused as a repetition.
      const answers: Reply<unknown>[] = [];
      for (let n = 0; n < 12; n += 1) {
        answers.push(await again(n, [machines[0], eve]));
      }
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(4);
      expect(answers.find(({ status }) => status === 429)?.body).toMatchObject({ code: 'too_many_requests' });
      expect((await again(0, [machines[1], ada])).status).toBe(200);
    } finally {
      await Promise.all(replicas.map((replica) => replica.close()));
    }
  });
});
