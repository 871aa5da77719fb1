import { beforeEach, describe, expect, it } from '@jest/globals';
import type { MarkAnswer } from '../../../src/ssh';
import { startTestApi } from '../../support/api';
import { aLease, aNode, type NodeOptions, type TestNode } from '../../support/builders';
import { age, count, row } from '../../support/database';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import { registerMachine, sendRegistration, signRegistration } from '../../support/machine';
import type { IssuedJoinToken } from '../../../src/contract';
import type { RegisteredJson, Reply } from '../../support/wire';

const database = useTestDatabase({ resetEach: true });
const watching = useTestApi(database, {
  findMark: (target, mark) => {
    asked.push([target.nodeId, target.address, target.hostKey, mark]);
    return Promise.resolve(shown);
  },
});
const admin = useUser(database, { role: 'admin' });
/** What the machine at a node's address answers, and which were asked. */
let shown: MarkAnswer;
let asked: unknown[];
beforeEach(() => {
  asked = [];
  shown = 'no_answer';
});

const aToken = async (): Promise<IssuedJoinToken> =>
  (await watching.call<IssuedJoinToken>('post', '/api/tokens', { as: admin, body: { name: 'lab', max_uses: 5 } })).body;
const stored = (id: number): Promise<Record<string, unknown>> => row(database.db, 'SELECT * FROM nodes WHERE id = ?', [id]);
const aMachine = (hostKey = anSshKey()): { hostname: string; host_key: string } => ({ hostname: 'edge-1', host_key: hostKey });

describe('a machine with the host key of a node', () => {
  const MARK = 'm'.repeat(32);
  const enrolled = async (change: NodeOptions = {}): Promise<TestNode> => {
    const node = await aNode(database.db, change);
    await age(database.db, 'UPDATE nodes SET registered_at = registered_at - INTERVAL 1 HOUR WHERE id = ?', [node.id]);
    return node;
  };
  const silence = (node: TestNode): Promise<void> =>
    age(database.db, 'UPDATE heartbeats SET silent_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND WHERE node_id = ?', [node.id]);
  const register = async (node: TestNode, change: object = {}, showing: { credential?: string } = {}): Promise<Reply<RegisteredJson>> =>
    registerMachine(
      watching.url,
      { ...aMachine(node.hostKey), mark: MARK, ...change },
      showing.credential === undefined ? { joinToken: (await aToken()).token } : showing,
    );
  const events = (node: TestNode): Promise<number> =>
    count(database.db, "SELECT COUNT(*) FROM events WHERE type = 'node.clone_refused' AND node_id = ?", [node.id]);
  const untouched = async (node: TestNode, registration: () => Promise<Reply<RegisteredJson>>): Promise<Reply<RegisteredJson>> => {
    const lease = await aLease(database.db, { userId: admin.id, nodeId: node.id });
    const before = await stored(node.id);
    const answer = await registration();
    expect(await stored(node.id)).toEqual(before);
    expect(await row(database.db, 'SELECT state, occupied_node_id FROM leases WHERE id = ?', [lease.id])).toEqual({
      state: 'active',
      occupied_node_id: node.id,
    });
    return answer;
  };

  it('R1: is refused while another machine answers at the address of the node, however silent the agent is; told the remedy; and on record once an hour', async () => {
    shown = 'not_shown';
    const node = await enrolled();
    await silence(node);
    const answer = await untouched(node, () => register(node, { hostname: 'copy', address: '127.0.0.9' }));
    expect(answer).toMatchObject({
      status: 409,
      body: { code: 'host_key_in_use', detail: expect.stringContaining('--new-host-key') as unknown },
    });
    expect(answer.headers['retry-after']).toBeUndefined();
    expect(asked).toEqual([[node.id, '127.0.0.1', node.hostKey, MARK]]);
    await register(node, { hostname: 'copy', address: '127.0.0.9' });
    expect(await events(node)).toBe(1);
    const { data } = await row<{ data: unknown }>(database.db, "SELECT data FROM events WHERE type = 'node.clone_refused'");
    expect(data).toEqual({ address: '127.0.0.9', from: '127.0.0.1', hostname: 'copy', copied_state: false });
    expect(await row(database.db, 'SELECT SUM(uses) AS uses FROM join_tokens')).toEqual({ uses: '0' });
  });

  it('R1: waits while nobody answers there and the agent was heard, and is no clone on record', async () => {
    const node = await enrolled();
    const answer = await untouched(node, () => register(node));
    expect(answer).toMatchObject({ status: 409, body: { code: 'host_key_in_use' } });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(await events(node)).toBe(0);
  });

  it('R1: that lost its state and is at its address gets its row, however lately its agent was heard', async () => {
    shown = 'shown';
    const node = await enrolled();
    expect(await register(node)).toMatchObject({ status: 201, body: { node_id: node.id } });
  });

  it('R1: whose old self is dead gets its row once the agent is silent', async () => {
    const node = await enrolled();
    await silence(node);
    expect(await register(node, { address: '127.0.0.9' })).toMatchObject({ status: 201, body: { node_id: node.id } });
    expect(await stored(node.id)).toMatchObject({ address: '127.0.0.9', dirty: 1 });
  });

  it('R1: that never got the answer to its registration gets its row at once', async () => {
    const machine = aMachine();
    const first = await registerMachine(watching.url, machine, { joinToken: (await aToken()).token });
    expect(await registerMachine(watching.url, machine, { joinToken: (await aToken()).token })).toMatchObject({
      status: 201,
      body: { node_id: first.body.node_id },
    });
  });

  it('R1: that waits for approval too is not asked for at an address which a stranger gave, and gets the row when the first one is silent', async () => {
    shown = 'shown';
    const node = await enrolled({ status: 'pending' });
    expect(await register(node)).toMatchObject({ status: 409, body: { code: 'host_key_in_use' } });
    await silence(node);
    expect((await register(node)).status).toBe(201);
    expect(asked).toEqual([]);
  });

  it.each([
    ['the same host key', false],
    ['a new host key', true],
  ])('R1: with a copy of the credential and %s is refused, and the node stays in service', async (_what, isNew) => {
    shown = 'not_shown';
    const node = await enrolled();
    const answer = await untouched(node, () => register(node, isNew ? { host_key: anSshKey() } : {}, { credential: node.credential }));
    expect(answer).toMatchObject({
      status: 409,
      body: { code: 'host_key_in_use', detail: expect.stringContaining('credential') as unknown },
    });
    expect(await events(node)).toBe(1);
  });

  it('R3: with the credential is taken when nobody answers: an agent that starts again was heard a moment ago', async () => {
    const node = await enrolled();
    expect(await register(node, {}, { credential: node.credential })).toMatchObject({ status: 200, body: { node_id: node.id } });
  });

  it('R3: with the credential and an agent of the release before, which has no mark, is taken, and nobody is asked', async () => {
    shown = 'not_shown';
    const node = await enrolled();
    expect((await register(node, { mark: undefined }, { credential: node.credential })).status).toBe(200);
    expect(asked).toEqual([]);
  });

  it('R1: that comes while another one takes the row is sent back, not let in', async () => {
    const node = await enrolled();
    await silence(node);
    // With a challenge that is older, or the later answer would be refused for its challenge alone.
    const { token: joinToken } = await aToken();
    const first = await signRegistration(watching.url, { ...aMachine(node.hostKey), mark: MARK }, { joinToken });
    const slow = await startTestApi(database.db, {
      findMark: async () => {
        expect((await sendRegistration(watching.url, first)).status).toBe(201);
        return 'no_answer';
      },
    });
    const answer = await registerMachine(slow.url, { ...aMachine(node.hostKey), mark: MARK }, { joinToken });
    await slow.close();
    expect(answer).toMatchObject({
      status: 409,
      body: { code: 'state_conflict', detail: expect.stringContaining('at the same moment') as unknown },
    });
  });
});
