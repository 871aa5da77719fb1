import { beforeEach, describe, expect, it } from '@jest/globals';
import type { MarkAnswer } from '../../../src/ssh';
import { aLease, aNode, aUser, type TestNode } from '../../support/builders';
import { age, row, rows } from '../../support/database';
import { useTestApi, useTestDatabase } from '../../support/hooks';
import { callAsNode, ENTRANCES } from '../../support/machine';
import type { Reply } from '../../support/wire';

const database = useTestDatabase({ resetEach: true });
const api = useTestApi(database, {
  findMark: ({ address, port }, mark) => {
    asked.push([address, port, mark]);
    return Promise.resolve(shown);
  },
});
let shown: MarkAnswer;
let asked: unknown[];
let node: TestNode;
beforeEach(async () => {
  [shown, asked] = ['shown', []];
  node = await aNode(database.db);
  await age(
    database.db,
    'UPDATE nodes SET hostname = \'edge-1\', ssh_port = 22, facts = \'{"os":"Debian 12"}\', operator_labels = \'{"room":"a"}\', labels = \'{"room":"a","node/gpu":"no"}\', max_cpus = 8 WHERE id = ?',
    [node.id],
  );
});

const MARK = 'm'.repeat(32);
const SELF = { hostname: 'edge-1', ssh_port: 22, labels: { gpu: 'no' }, facts: { cpus: 2, memory_mb: 2048, os: 'Debian 12' }, mark: MARK };
const sendHeartbeat = (self: unknown, contentType?: string): Promise<Reply<{ self_accepted?: boolean; status: string }>> =>
  callAsNode(api.url, {
    credential: node.credential,
    name: 'heartbeat',
    body: self === undefined ? {} : { self },
    ...(contentType !== undefined && { contentType }),
  });
const stored = (): Promise<Record<string, unknown>> =>
  row(database.db, 'SELECT hostname, address, ssh_port, cpus, memory_mb, labels, facts, status, dirty, lease_id FROM nodes WHERE id = ?', [
    node.id,
  ]);

describe('a node that says in a heartbeat that it changed', () => {
  it.each(ENTRANCES)(
    'R2: is known as it is now, by %s; its lease, its status and its labels of operators stay, and caps count',
    async (_entrance, contentType) => {
      const lease = await aLease(database.db, { userId: (await aUser(database.db)).id, nodeId: node.id });
      const answer = await sendHeartbeat(
        { ...SELF, hostname: 'renamed', labels: { gpu: 'a100' }, facts: { cpus: 16, memory_mb: 4096, kernel: '6.12', gpu: 'NVIDIA 2204' } },
        contentType,
      );
      expect(answer).toMatchObject({ status: 200, body: { self_accepted: true, status: 'alive' } });
      expect(await stored()).toMatchObject({
        hostname: 'renamed',
        address: '127.0.0.1',
        ssh_port: 22,
        cpus: 8,
        memory_mb: 4096,
        labels: { room: 'a', 'node/gpu': 'a100' },
        facts: { kernel: '6.12', gpu: 'NVIDIA 2204' },
        status: 'alive',
        dirty: 0,
        lease_id: lease.id,
      });
      expect(asked).toEqual([]);
      expect(await rows(database.db, "SELECT JSON_KEYS(data) AS names FROM events WHERE type = 'node.changed'")).toEqual([
        { names: '["hostname", "labels", "cpus", "memoryMb"]' },
      ]);
    },
  );

  it('R2: has its new address and port once the machine there shows the mark of this heartbeat', async () => {
    await sendHeartbeat({ ...SELF, address: '127.0.0.9', ssh_port: 2222 });
    expect(asked).toEqual([['127.0.0.9', 2222, MARK]]);
    expect(await stored()).toMatchObject({ address: '127.0.0.9', ssh_port: 2222, status: 'alive' });
  });

  it.each<MarkAnswer>(['no_answer', 'not_shown'])(
    'R2: keeps its address while the machine at the new one gives %s; what else changed counts',
    async (answer) => {
      shown = answer;
      expect((await sendHeartbeat({ ...SELF, hostname: 'renamed', address: '127.0.0.9' })).body.self_accepted).toBe(false);
      expect(await stored()).toMatchObject({ hostname: 'renamed', address: '127.0.0.1' });
    },
  );

  it('R1: that waits for approval sends nobody anywhere', async () => {
    await age(database.db, "UPDATE nodes SET status = 'pending' WHERE id = ?", [node.id]);
    await sendHeartbeat({ ...SELF, address: '127.0.0.9' });
    expect([asked, (await stored())['address']]).toEqual([[], '127.0.0.9']);
  });

  it.each([
    { hostname: 'not valid' },
    { ssh_port: 0 },
    { address: '$(id)' },
    { labels: { 'a b': 'c' } },
    { facts: { cpus: 0 } },
    { mark: 'short' },
  ])('R2: is heard when %j is not valid, which does not count', async (change) => {
    const before = await stored();
    expect(await sendHeartbeat({ ...SELF, ...change })).toMatchObject({ status: 200, body: { self_accepted: false } });
    expect(await stored()).toEqual(before);
  });

  it('R2: that changes with each heartbeat fills no audit log: 30 changes count in an hour', async () => {
    const accepted: boolean[] = [];
    for (let n = 0; n < 33; n += 1) {
      accepted.push((await sendHeartbeat({ ...SELF, hostname: `edge-${n + 2}` })).body.self_accepted === true);
    }
    expect(accepted.filter(Boolean)).toHaveLength(30);
    expect((await stored())['hostname']).toBe('edge-31');
    await age(database.db, "UPDATE events SET at = at - INTERVAL 1 HOUR WHERE type = 'node.changed'");
    expect((await sendHeartbeat({ ...SELF, hostname: 'edge-40' })).body.self_accepted).toBe(true);
  });

  it('R2: has no answer about it when it says nothing of it', async () => {
    expect((await sendHeartbeat(undefined)).body.self_accepted).toBeUndefined();
  });
});
