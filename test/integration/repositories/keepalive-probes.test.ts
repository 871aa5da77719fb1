import { beforeEach, describe, expect, it } from '@jest/globals';
import { transaction } from '../../../src/db/transaction';
import { fingerprintOf } from '../../../src/lib/host-key';
import { handBackShards, holdShards, listKeepableNodes, completeAnsweredProbes, SHARDS } from '../../../src/modules/nodes';
import { aNode, severalNodes, type TestNode } from '../../support/builders';
import { age, count, row, rows } from '../../support/database';
import { useTestDatabase } from '../../support/hooks';

const database = useTestDatabase({ resetEach: true });

const hold = (id: string): Promise<number> => transaction(database.db, (tx) => holdShards(tx, { id, seconds: 15 }));
const owned = (id: string): Promise<number> => count(database.db, 'SELECT COUNT(*) FROM probe_shards WHERE owner_id = ?', [id]);
const expireOwner = (id: string): Promise<void> =>
  age(database.db, 'UPDATE probe_owners SET expires_at = UTC_TIMESTAMP(3) WHERE id = ?', [id]);

describe('shards', () => {
  it('R25: the first scheduler has all, a second one half, a third one its third, within a round or two', async () => {
    expect(await hold('a')).toBe(SHARDS);
    expect(await hold('b')).toBe(0);
    expect(await hold('a')).toBe(32);
    expect(await hold('b')).toBe(32);
    expect(await hold('c')).toBe(0);
    expect([await hold('a'), await hold('b'), await hold('c')]).toEqual([22, 22, 20]);
    expect(await count(database.db, 'SELECT COUNT(*) FROM probe_shards WHERE owner_id IS NULL')).toBe(0);
  });

  it('R25: those of a scheduler that is gone are taken when its time is over, and not before', async () => {
    await hold('a');
    await hold('b');
    await hold('a');
    await hold('b');
    expect(await hold('a')).toBe(32);
    await expireOwner('b');
    expect(await hold('a')).toBe(SHARDS);
  });

  it('R25: those of a scheduler that stops are free at once', async () => {
    await hold('a');
    await handBackShards(database.db, 'a');
    expect(await hold('b')).toBe(SHARDS);
  });

  it('R25: eight schedulers that come and go at once never own more than there is, and in the end all of it in fair shares', async () => {
    const other = database.secondPool();
    const names = Array.from({ length: 8 }, (_, n) => `s${n}`);
    const step = (id: string, n: number): Promise<number> =>
      transaction(n % 2 ? other : database.db, (tx) => holdShards(tx, { id, seconds: 15 }));
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(names.map(step));
      if (round === 2) {
        await expireOwner('s3');
        await handBackShards(database.db, 's5');
      }
    }
    const shares = await Promise.all(names.map(owned));
    expect(shares.reduce((a, b) => a + b, 0)).toBe(SHARDS);
    expect(Math.max(...shares)).toBe(8);
    await Promise.all(names.map((id) => handBackShards(database.db, id)));
  });
});

describe('answers over pooled sessions', () => {
  let node: TestNode;
  beforeEach(async () => {
    node = await aNode(database.db);
    await age(
      database.db,
      `UPDATE nodes SET probe_due_at = UTC_TIMESTAMP(3) + INTERVAL 5 SECOND, last_checked_at = UTC_TIMESTAMP(3) - INTERVAL 25 SECOND,
      logged_in_at = UTC_TIMESTAMP(3) - INTERVAL 4 MINUTE`,
    );
    await hold('mine');
  });

  const completeAnswered = (nodes: TestNode[] = [node], ownerId = 'mine'): Promise<number> =>
    transaction(database.db, (tx) =>
      completeAnsweredProbes(tx, {
        ownerId,
        nodes: nodes.map(({ id, hostKey }) => ({ nodeId: id, fingerprint: fingerprintOf(hostKey) })),
        nextProbeSeconds: 30,
        deepCheckSeconds: 600,
      }),
    );
  const seen = (): Promise<{ due: number; age: number }> =>
    row(
      database.db,
      'SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(3), probe_due_at) AS due, TIMESTAMPDIFF(SECOND, last_checked_at, UTC_TIMESTAMP(3)) AS age FROM nodes WHERE id = ?',
      [node.id],
    );

  it('R20: count as a probe of a node that was well', async () => {
    expect(await completeAnswered()).toBe(1);
    const { due, age: checked } = await seen();
    expect(due).toBeGreaterThanOrEqual(28);
    expect(checked).toBeLessThan(3);
  });

  it('R20: never beyond the moment at which a fresh login is due', async () => {
    await age(database.db, 'UPDATE nodes SET logged_in_at = UTC_TIMESTAMP(3) - INTERVAL 288 SECOND, id = 4096');
    node.id = 4096;
    expect(await completeAnswered()).toBe(1);
    expect((await seen()).due).toBeLessThanOrEqual(12);
  });

  it.each([
    ['a fresh login is due', 'logged_in_at = UTC_TIMESTAMP(3) - INTERVAL 10 MINUTE'],
    ['it was never logged in to', 'logged_in_at = NULL'],
    ['it is suspected', "status = 'suspect'"],
    ['it is in quarantine', "status = 'quarantined'"],
    ['it is retired', "status = 'retired', host_key_fingerprint = NULL"],
    ['it is leaving', 'leaving = 1'],
    ['it is being probed', "probe_token = 'somebody'"],
    ['somebody wants it looked at now', 'probe_due_at = UTC_TIMESTAMP(3)'],
    ['its host key is another one by now', "host_key = 'ssh-ed25519 AAAA', host_key_fingerprint = 'SHA256:another'"],
    ['it is reached through its tunnel and the direct way is due', "reach = 'tunnel'"],
  ])('R20: do not count when %s', async (_, change) => {
    await age(database.db, `UPDATE nodes SET ${change}`);
    const before = await row(database.db, 'SELECT * FROM nodes');
    expect(await completeAnswered()).toBe(0);
    expect(await row(database.db, 'SELECT * FROM nodes')).toEqual(before);
  });

  it('R25: do not count when they come from a scheduler whose time is over, whether or not another one has taken the shard', async () => {
    await expireOwner('mine');
    expect(await completeAnswered()).toBe(0);
    await hold('other');
    expect(await completeAnswered()).toBe(0);
    // It wakes up, says that it is at work, and owns nothing until the other one gives something up.
    expect(await hold('mine')).toBe(0);
    expect(await completeAnswered()).toBe(0);
    expect(await completeAnswered([node], 'other')).toBe(1);
  });

  it('I10: a row that somebody works on holds up nobody', async () => {
    const others = await severalNodes(database.db, 3);
    await age(database.db, 'UPDATE nodes SET logged_in_at = UTC_TIMESTAMP(3), probe_due_at = UTC_TIMESTAMP(3) + INTERVAL 5 SECOND');
    const completed = await transaction(database.secondPool(), async (tx) => {
      await rows(tx as never, 'SELECT id FROM nodes WHERE id = ? FOR UPDATE', [node.id]);
      return completeAnswered([node, ...others]);
    });
    expect(completed).toBe(3);
  });

  it('R25: only nodes that are well and mean to stay, of the own shards, are worth a connection', async () => {
    await aNode(database.db, { status: 'suspect' });
    const leaving = await aNode(database.db);
    await age(database.db, 'UPDATE nodes SET leaving = 1 WHERE id = ?', [leaving.id]);
    const ids = async (owner: string, limit = 100): Promise<number[]> =>
      (await listKeepableNodes(database.db, owner, limit)).map(({ nodeId }) => nodeId);
    expect(await ids('mine')).toEqual([node.id]);
    expect(await ids('other')).toEqual([]);
    // Never logged in to.
    await aNode(database.db);
    const next = await aNode(database.db);
    await age(database.db, 'UPDATE nodes SET logged_in_at = UTC_TIMESTAMP(3) WHERE id = ?', [next.id]);
    expect(await ids('mine')).toEqual([node.id, next.id]);
    expect(await ids('mine', 1)).toEqual([node.id]);
  });
});
