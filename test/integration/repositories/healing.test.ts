import { beforeEach, describe, expect, it } from '@jest/globals';
import type { WorkContext } from '../../../src/flows/support/context';
import { expireLeases } from '../../../src/flows/leases/expire-leases';
import { migrateNextLease } from '../../../src/flows/migration/migrate-leases';
import { claimProbes, probeNode } from '../../../src/flows/health/probe-node';
import { claimPlacements, runPlacement } from '../../../src/flows/placements/run-placement';
import { drain } from '../../../src/flows/nodes/operate-node';
import { watchFleet } from '../../../src/flows/migration/watch-fleet';
import { claimWipes, wipeNode } from '../../../src/flows/placements/wipe-node';
import { probeSoon } from '../../../src/modules/nodes';
import type { ProbeResult } from '../../../src/ssh';
import { aLease, aNode, severalNodes, type TestLease, type TestNode } from '../../support/builders';
import { createTestContext } from '../../support/context';
import { age, count, row, rows } from '../../support/database';
import { createFakeProvisioner } from '../../support/fake-provisioner';
import { useForAll, useTestDatabase, useUser } from '../../support/hooks';

const provisioner = createFakeProvisioner();
const database = useTestDatabase({ resetEach: true });
const ctx = useForAll(() => createTestContext(database.db, provisioner));
const user = useUser(database);
beforeEach(() => provisioner.reset());

const lease = (id: number): Promise<Record<string, unknown>> =>
  row(database.db, 'SELECT state, generation, occupied_node_id, ends_at, waiting_since, end_reason FROM leases WHERE id = ?', [id]);
const node = (id: number): Promise<Record<string, unknown>> =>
  row(database.db, 'SELECT status, dirty, leasable, lease_id, wipe_failures, wipe_due_at FROM nodes WHERE id = ?', [id]);
const eventTypes = async (): Promise<string[]> =>
  (await rows<{ type: string }>(database.db, 'SELECT type FROM events ORDER BY id')).map(({ type }) => type);
const leasedOn = (on: TestNode): Promise<TestLease> => aLease(database.db, { userId: user.id, nodeId: on.id });

/** One probe of a node with this outcome; a hand-made prober stands in for SSH. */
async function probe(id: number, outcome: ProbeResult['outcome']): Promise<void> {
  await age(database.db, 'UPDATE nodes SET probe_due_at = IF(id = ?, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) + INTERVAL 1 HOUR)', [id]);
  const probing = {
    ...ctx,
    prober: { probe: () => Promise.resolve({ outcome, reason: outcome === 'ok' ? null : 'the fake says so', durationMs: 1 }) },
  };
  for (const claim of await claimProbes(probing, 1)) {
    await probeNode(probing, claim);
  }
}
async function die(id: number): Promise<void> {
  for (let n = 0; n < 3; n += 1) {
    await probe(id, 'failed');
  }
}
async function wipeWhatIsDue(): Promise<number> {
  const claims = await claimWipes(ctx, 10);
  await Promise.all(claims.map((claim) => wipeNode(ctx, claim)));
  return claims.length;
}
async function migrate(): Promise<string> {
  const step = await migrateNextLease(ctx);
  if (step.outcome === 'moved') {
    await runPlacement(ctx, step.placement);
  }
  return step.outcome;
}

describe('health', () => {
  it('R20: three failures in a row make a node dead, and its lease looks for another', async () => {
    const sick = await aNode(database.db);
    const { id } = await leasedOn(sick);
    await probe(sick.id, 'failed');
    expect(await node(sick.id)).toMatchObject({ status: 'suspect', leasable: 0 });
    await probe(sick.id, 'failed');
    expect(await lease(id)).toMatchObject({ state: 'active' });
    await probe(sick.id, 'failed');
    expect(await node(sick.id)).toMatchObject({ status: 'dead', dirty: 1 });
    expect(await lease(id)).toMatchObject({ state: 'migrating', occupied_node_id: sick.id });
  });

  it('R20: a success in between begins the count anew', async () => {
    const shaky = await aNode(database.db);
    for (const outcome of ['failed', 'failed', 'ok', 'failed', 'failed'] as const) {
      await probe(shaky.id, outcome);
    }
    expect(await node(shaky.id)).toMatchObject({ status: 'suspect' });
    await probe(shaky.id, 'ok');
    expect(await node(shaky.id)).toMatchObject({ status: 'alive', leasable: 1 });
  });

  it('I8: after an outage of the control plane, failures from before it count for nothing', async () => {
    const sick = await aNode(database.db);
    await probe(sick.id, 'failed');
    await probe(sick.id, 'failed');
    await age(database.db, 'UPDATE control_plane SET last_tick_at = UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE');
    await watchFleet(ctx);
    await probe(sick.id, 'failed');
    expect(await node(sick.id)).toMatchObject({ status: 'suspect' });
    await probe(sick.id, 'failed');
    await probe(sick.id, 'failed');
    expect(await node(sick.id)).toMatchObject({ status: 'dead' });
  });

  it('I8: silence of agents from before an outage suspects nobody; silence after it does, once', async () => {
    const quiet = await aNode(database.db);
    await age(database.db, 'UPDATE nodes SET last_checked_at = UTC_TIMESTAMP(3) - INTERVAL 2 MINUTE WHERE id = ?', [quiet.id]);
    await age(
      database.db,
      'UPDATE heartbeats SET last_heartbeat_at = last_heartbeat_at - INTERVAL 2 MINUTE, silent_at = silent_at - INTERVAL 2 MINUTE WHERE node_id = ?',
      [quiet.id],
    );
    await age(database.db, 'UPDATE control_plane SET judged_since = UTC_TIMESTAMP(3)');
    await watchFleet(ctx);
    expect(await node(quiet.id)).toMatchObject({ status: 'alive' });
    await age(database.db, 'UPDATE control_plane SET judged_since = UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE');
    await watchFleet(ctx);
    expect(await node(quiet.id)).toMatchObject({ status: 'suspect' });
    await probe(quiet.id, 'ok');
    await watchFleet(ctx);
    expect(await node(quiet.id)).toMatchObject({ status: 'alive' });
  });

  it('R20: a hint brings the probe of a node that is well forward, and hastens nothing for one that is suspected already', async () => {
    const { id } = await aNode(database.db);
    const isDue = async (): Promise<number> =>
      (await row<{ due: number }>(database.db, 'SELECT probe_due_at <= UTC_TIMESTAMP(3) AS due FROM nodes WHERE id = ?', [id])).due;
    await probeSoon(database.db, id);
    expect(await isDue()).toBe(1);
    await probe(id, 'failed');
    await probeSoon(database.db, id);
    expect(await isDue()).toBe(0);
  });

  it('R20: a changed host key puts a node into quarantine at once', async () => {
    const swapped = await aNode(database.db);
    const { id } = await leasedOn(swapped);
    await probe(swapped.id, 'host_key_changed');
    expect(await node(swapped.id)).toMatchObject({ status: 'quarantined', dirty: 1 });
    expect(await lease(id)).toMatchObject({ state: 'migrating' });
  });

  it('I10: a probe whose claim was lost changes nothing', async () => {
    const { id } = await aNode(database.db);
    await age(database.db, 'UPDATE nodes SET probe_due_at = UTC_TIMESTAMP(3)');
    const prober = {
      probe: async (): Promise<ProbeResult> => {
        await age(database.db, "UPDATE nodes SET probe_token = 'somebody else'");
        return { outcome: 'failed', reason: 'x', durationMs: 1 };
      },
    };
    for (const claim of await claimProbes({ ...ctx, prober }, 1)) {
      await probeNode({ ...ctx, prober }, claim);
    }
    expect(await node(id)).toMatchObject({ status: 'alive' });
  });
});

describe('migration', () => {
  it('R21, I4: a lease moves from a dead node with its end untouched; the old node stays dirty', async () => {
    const [sick, well] = [await aNode(database.db), await aNode(database.db)];
    const { id } = await leasedOn(sick);
    const { ends_at } = await lease(id);
    await die(sick.id);
    expect(await migrate()).toBe('moved');
    expect(await lease(id)).toMatchObject({ state: 'active', generation: 2, occupied_node_id: well.id, ends_at });
    expect(await node(sick.id)).toMatchObject({ status: 'dead', dirty: 1, lease_id: null, wipe_due_at: null });
    expect(await rows(database.db, 'SELECT generation, state, node_id FROM placements ORDER BY generation')).toEqual([
      { generation: 1, state: 'wiping', node_id: sick.id },
      { generation: 2, state: 'present', node_id: well.id },
    ]);
    expect(await migrate()).toBe('none');
  });

  it('R40: the duration of a move names its cause, also when the order or the loss was before another move', async () => {
    const movesOf = async (cause: string): Promise<number> => {
      const text = await ctx.metrics.registry.getSingleMetricAsString('orion_migration_duration_seconds');
      return Number(new RegExp(`_count\\{cause="${cause}"\\} (\\d+)`).exec(text)?.[1]);
    };
    const moves = (): Promise<number[]> => Promise.all(['death', 'planned', 'quarantine'].map(movesOf));
    const before = await moves();
    const [first, second] = [await aNode(database.db), await aNode(database.db)];
    const { id } = await leasedOn(first);
    await drain(ctx, { nodeId: first.id, move: true, by: user });
    expect(await migrate()).toBe('moved');
    expect((await moves()).map((n, at) => n - (before[at] ?? 0))).toEqual([0, 1, 0]);
    const third = await aNode(database.db);
    await die(second.id);
    expect(await migrate()).toBe('moved');
    expect(await lease(id)).toMatchObject({ state: 'active', occupied_node_id: third.id });
    expect((await moves()).map((n, at) => n - (before[at] ?? 0))).toEqual([1, 1, 0]);
    await aNode(database.db);
    await probe(third.id, 'host_key_changed');
    expect(await migrate()).toBe('moved');
    expect((await moves()).map((n, at) => n - (before[at] ?? 0))).toEqual([1, 1, 1]);
  });

  it('R21: with no node to move to it waits, is shown as waiting once, and moves when one appears', async () => {
    const sick = await aNode(database.db);
    const { id } = await leasedOn(sick);
    await die(sick.id);
    expect(await migrate()).toBe('waiting');
    expect(await migrate()).toBe('none');
    await age(database.db, 'UPDATE leases SET due_at = UTC_TIMESTAMP(3)');
    expect(await migrate()).toBe('waiting');
    expect((await lease(id))['waiting_since']).not.toBeNull();
    expect((await eventTypes()).filter((type) => type === 'lease.waiting')).toHaveLength(1);
    const fresh = await aNode(database.db);
    await age(database.db, 'UPDATE leases SET due_at = UTC_TIMESTAMP(3)');
    expect(await migrate()).toBe('moved');
    expect(await lease(id)).toMatchObject({ state: 'active', occupied_node_id: fresh.id, waiting_since: null });
  });

  it('R21: a node that returns before another was found keeps its lease, whose account is made sure of there', async () => {
    const sick = await aNode(database.db);
    const { id } = await leasedOn(sick);
    await die(sick.id);
    await migrate();
    await probe(sick.id, 'ok');
    const [placement, ...others] = await claimPlacements(ctx, 10);
    if (!placement || others.length > 0) {
      throw new Error('one placement should be due');
    }
    await runPlacement(ctx, placement);
    expect(await lease(id)).toMatchObject({ state: 'active', generation: 1, occupied_node_id: sick.id, waiting_since: null });
    expect(await node(sick.id)).toMatchObject({ status: 'alive', dirty: 1, leasable: 0 });
  });

  it('R21: when the account cannot be made on the next node either, the one after that gets it', async () => {
    const [sick, broken, well] = [await aNode(database.db), await aNode(database.db, { cpus: 2 }), await aNode(database.db, { cpus: 4 })];
    const { id } = await leasedOn(sick);
    await die(sick.id);
    provisioner.fail('unreachable', { nodes: [broken.id] });
    await migrate();
    expect(await lease(id)).toMatchObject({ state: 'active', generation: 3, occupied_node_id: well.id });
    expect(await node(broken.id)).toMatchObject({ status: 'suspect', lease_id: null, dirty: 1 });
  });

  it('I8: while most of the fleet fails at once nothing moves; when it is back, migration goes on', async () => {
    const fleet = await severalNodes(database.db, 6);
    const [first] = fleet;
    const { id } = await leasedOn(first as TestNode);
    for (const { id: nodeId } of fleet.slice(0, 4)) {
      await die(nodeId);
    }
    expect(await migrate()).toBe('breaker_open');
    expect(await lease(id)).toMatchObject({ state: 'migrating', generation: 1 });
    expect(await count(database.db, 'SELECT COUNT(*) FROM control_plane WHERE brake_since IS NOT NULL')).toBe(1);
    for (const { id: nodeId } of fleet.slice(1, 4)) {
      await probe(nodeId, 'ok');
    }
    expect(await migrate()).toBe('moved');
    expect((await eventTypes()).filter((type) => type.startsWith('fleet.brake'))).toEqual(['fleet.brake_on', 'fleet.brake_off']);
  });

  it('R13: two schedulers moving many leases at once put each on a node of its own', async () => {
    const sick = await severalNodes(database.db, 8);
    await severalNodes(database.db, 10);
    for (const each of sick) {
      await leasedOn(each);
    }
    await age(database.db, 'UPDATE nodes SET drained = 1 WHERE lease_id IS NOT NULL');
    await age(database.db, "UPDATE leases SET state = 'migrating', due_at = UTC_TIMESTAMP(3)");
    const other = createTestContext(database.secondPool(), provisioner);
    const work = async (mine: WorkContext): Promise<void> => {
      for (let step = await migrateNextLease(mine); step.outcome !== 'none'; step = await migrateNextLease(mine)) {
        if (step.outcome === 'moved') {
          await runPlacement(mine, step.placement);
        }
        await age(database.db, 'UPDATE leases SET due_at = IF(waiting_since IS NULL, due_at, UTC_TIMESTAMP(3))').catch(() => undefined);
      }
    };
    await Promise.all([work(ctx), work(other), work(ctx)]);
    expect(await count(database.db, "SELECT COUNT(DISTINCT occupied_node_id) FROM leases WHERE state = 'active' AND generation = 2")).toBe(
      8,
    );
  }, 20_000);

  it('an account left in the making by a replica that died is finished by a scheduler', async () => {
    const { id, nodeId } = await aLease(database.db, { userId: user.id, nodeId: (await aNode(database.db)).id, state: 'provisioning' });
    expect(await claimPlacements(ctx, 10)).toEqual([]);
    await age(database.db, 'UPDATE placements SET due_at = UTC_TIMESTAMP(3)');
    for (const placement of await claimPlacements(ctx, 10)) {
      await runPlacement(ctx, placement);
    }
    expect(await lease(id)).toMatchObject({ state: 'active', occupied_node_id: nodeId });
  });

  it('one left in the making on a node that died as well goes to another node', async () => {
    const [sick, well] = [await aNode(database.db), await aNode(database.db)];
    const { id } = await aLease(database.db, { userId: user.id, nodeId: sick.id, state: 'provisioning' });
    await age(database.db, 'UPDATE placements SET due_at = UTC_TIMESTAMP(3)');
    await die(sick.id);
    for (const placement of await claimPlacements(ctx, 10)) {
      await runPlacement(ctx, placement);
    }
    expect(await lease(id)).toMatchObject({ state: 'active', generation: 2, occupied_node_id: well.id });
  });
});

describe('the end of a lease', () => {
  it('R22, I5, I7: it expires by the clock of the database, is wiped and verified, and only then is its node free', async () => {
    const used = await aNode(database.db);
    const { id } = await leasedOn(used);
    await age(
      database.db,
      'UPDATE leases SET created_at = created_at - INTERVAL 1 DAY, ends_at = UTC_TIMESTAMP(3) + INTERVAL 5 SECOND WHERE id = ?',
      [id],
    );
    await expireLeases(ctx);
    expect(await lease(id)).toMatchObject({ state: 'active' });
    await age(database.db, 'UPDATE leases SET created_at = created_at - INTERVAL 1 DAY, ends_at = UTC_TIMESTAMP(3) WHERE id = ?', [id]);
    await expireLeases(ctx);
    expect(await lease(id)).toMatchObject({ state: 'ending', end_reason: 'expired', occupied_node_id: null });
    expect(await node(used.id)).toMatchObject({ dirty: 1, leasable: 0, lease_id: null });
    expect(await wipeWhatIsDue()).toBe(1);
    expect(provisioner.calls.map(({ verb }) => verb)).toEqual(['wipe', 'verifyClean']);
    expect(await node(used.id)).toMatchObject({ dirty: 0, leasable: 1 });
    expect(await lease(id)).toMatchObject({ state: 'ended' });
    expect(await row(database.db, 'SELECT state FROM placements')).toEqual({ state: 'wiped' });
  });

  it.each(['provisioning', 'migrating'])('R22: a lease that is still %s expires as well', async (state) => {
    const { id } = await leasedOn(await aNode(database.db));
    await age(
      database.db,
      'UPDATE leases SET state = ?, created_at = created_at - INTERVAL 1 DAY, ends_at = UTC_TIMESTAMP(3) WHERE id = ?',
      [state, id],
    );
    await expireLeases(ctx);
    expect(await lease(id)).toMatchObject({ state: 'ending' });
  });

  it('I6, R23: on a dead node it is over at once, and the node is wiped when it returns', async () => {
    const sick = await aNode(database.db);
    const { id } = await leasedOn(sick);
    await die(sick.id);
    await age(database.db, 'UPDATE leases SET created_at = created_at - INTERVAL 1 DAY, ends_at = UTC_TIMESTAMP(3) WHERE id = ?', [id]);
    await expireLeases(ctx);
    expect(await lease(id)).toMatchObject({ state: 'ended' });
    expect(await wipeWhatIsDue()).toBe(0);
    await probe(sick.id, 'ok');
    expect(await node(sick.id)).toMatchObject({ status: 'alive', dirty: 1, leasable: 0 });
    expect(await wipeWhatIsDue()).toBe(1);
    expect(provisioner.calls[0]?.accounts).toHaveLength(1);
    expect(await node(sick.id)).toMatchObject({ leasable: 1 });
  });

  it('a lease that only waits for its wipe is over when its node dies, and the wipe is not forgotten', async () => {
    const sick = await aNode(database.db);
    const { id } = await leasedOn(sick);
    await age(database.db, 'UPDATE leases SET created_at = created_at - INTERVAL 1 DAY, ends_at = UTC_TIMESTAMP(3) WHERE id = ?', [id]);
    await expireLeases(ctx);
    await die(sick.id);
    expect(await lease(id)).toMatchObject({ state: 'ended' });
    expect(await node(sick.id)).toMatchObject({ wipe_due_at: null, dirty: 1 });
    expect(await row(database.db, 'SELECT state FROM placements')).toEqual({ state: 'wiping' });
  });
});
