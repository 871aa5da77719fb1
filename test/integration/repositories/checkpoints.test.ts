import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { WorkContext } from '../../../src/flows/context';
import { type CheckpointContext, checkpointHome, claimCheckpoints, sweepCheckpoints } from '../../../src/flows/checkpoint-home';
import { drain } from '../../../src/flows/operate-node';
import { migrateNextLease } from '../../../src/flows/migrate-leases';
import { releaseLease } from '../../../src/flows/release-lease';
import { claimPlacements, runPlacement } from '../../../src/flows/run-placement';
import { viewLeases } from '../../../src/flows/view-lease';
import type { User } from '../../../src/modules/accounts';
import { type Checkpoint, insertCheckpoints, RestoreError, StateMissingError, TooLargeError } from '../../../src/modules/checkpoints';
import { findLease } from '../../../src/modules/leases';
import { fromJson } from '../../../src/db/sql';
import { transaction } from '../../../src/db/transaction';
import { aLease, aNode, aUser, type TestLease } from '../../support/builders';
import { createTestContext } from '../../support/context';
import { age, count, openTestDatabase, row, rows, type TestDatabase } from '../../support/database';
import { createFakeHomes, type FakeHomes } from '../../support/fake-homes';
import { createFakeProvisioner } from '../../support/fake-provisioner';

const provisioner = createFakeProvisioner();
const checkpoints = { intervalSeconds: 300, maxBytes: 1_000_000 };
let database: TestDatabase;
let homes: FakeHomes;
let ctx: CheckpointContext & WorkContext;
let user: User;
beforeAll(async () => {
  database = await openTestDatabase();
}, 60_000);
afterAll(() => database.close());
beforeEach(async () => {
  await database.reset();
  provisioner.reset();
  homes = createFakeHomes();
  ctx = { ...createTestContext(database.db, provisioner, { checkpoints }), homes, checkpoints };
  user = await aUser(database.db, { role: 'admin' });
});

async function aSavedLease({ enabled = true } = {}): Promise<TestLease> {
  const lease = await aLease(database.db, { userId: user.id, nodeId: (await aNode(database.db)).id });
  await transaction(database.db, (tx) => insertCheckpoints(tx, [{ leaseId: lease.id, enabled }], 300));
  return lease;
}
const makeDue = (id: number): Promise<void> => age(database.db, 'UPDATE checkpoints SET due_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND WHERE lease_id = ?', [id]);
async function checkpoint(id: number): Promise<void> {
  await makeDue(id);
  await saveWhatIsDue();
}
async function saveWhatIsDue(): Promise<void> {
  for (const claim of await claimCheckpoints(ctx, 10)) {
    await checkpointHome(ctx, claim);
  }
}
async function shown(id: number): Promise<Checkpoint | null> {
  const lease = await findLease(database.db, id);
  const [view] = await viewLeases(database.db, lease ? [lease] : []);
  return view?.checkpoint ?? null;
}
const dueIn = async (id: number): Promise<number> => Math.round(Number((await row<{ s: string }>(database.db, 'SELECT TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), due_at) / 1000000 AS s FROM checkpoints WHERE lease_id = ?', [id])).s));
const events = async (type: string): Promise<Record<string, unknown>[]> => (await rows<{ data: unknown }>(database.db, 'SELECT data FROM events WHERE type = ? ORDER BY id', [type])).map(({ data }) => fromJson(data));
async function die(lease: TestLease): Promise<void> {
  await age(database.db, "UPDATE nodes SET status = 'dead' WHERE id = ?", [lease.nodeId]);
  await age(database.db, "UPDATE leases SET state = 'migrating', due_at = UTC_TIMESTAMP(3) WHERE id = ?", [lease.id]);
}
async function migrate(): Promise<string> {
  await database.db.raw('UPDATE leases SET due_at = UTC_TIMESTAMP(3) WHERE due_at IS NOT NULL');
  const step = await migrateNextLease(ctx);
  if (step.outcome === 'moved') {
    await runPlacement(ctx, step.placement);
  }
  return step.outcome;
}
const stateOf = async (id: number): Promise<string> => (await findLease(database.db, id))?.state ?? 'none';

describe('checkpoints', () => {
  it('are due at an interval, full at first and then what changed, and the lease shows how old the last one is', async () => {
    const { id } = await aSavedLease();
    expect(await claimCheckpoints(ctx, 10)).toEqual([]);
    expect(await shown(id)).toMatchObject({ enabled: true, lastAt: null, ageSeconds: null, archives: [], error: null });
    await checkpoint(id);
    await checkpoint(id);
    expect((await shown(id))?.archives).toMatchObject([{ number: 1, full: true, generation: 1 }, { number: 2, full: false }]);
    expect((await shown(id))?.ageSeconds).toBeLessThan(30);
    expect(homes.saves.map(({ order }) => order.base?.number ?? null)).toEqual([null, 1]);
    expect(await dueIn(id)).toBeGreaterThan(290);
  });

  it('are none where the rent wanted none', async () => {
    const { id } = await aSavedLease({ enabled: false });
    expect(await shown(id)).toMatchObject({ enabled: false, lastAt: null });
    expect(await count(database.db, 'SELECT COUNT(*) FROM checkpoints WHERE due_at IS NOT NULL')).toBe(0);
    await releaseLease(ctx, { leaseId: id, by: user });
    expect(await claimCheckpoints(ctx, 10)).toEqual([]);
  });

  it('are claimed once by two schedulers', async () => {
    const leases = await Promise.all(Array.from({ length: 12 }, () => aSavedLease()));
    await Promise.all(leases.map(({ id }) => makeDue(id)));
    const other = { ...ctx, db: database.secondPool() };
    const claims = (await Promise.all([ctx, other, ctx, other].map((each) => claimCheckpoints(each, 4)))).flat().map(({ leaseId }) => leaseId);
    expect(new Set(claims).size).toBe(claims.length);
    expect(claims.length).toBeGreaterThan(0);
  });

  it('a stale scheduler settles nothing, and leaves what another has stored meanwhile', async () => {
    const { id } = await aSavedLease();
    await makeDue(id);
    const [stale] = await claimCheckpoints(ctx, 1);
    await checkpoint(id);
    await checkpoint(id);
    if (!stale) {
      throw new Error('nothing was claimed');
    }
    await checkpointHome(ctx, stale);
    expect((await shown(id))?.archives.map(({ number }) => number)).toEqual([2, 3]);
    expect(homes.stored.get(id)?.map(({ number }) => number)).toEqual([2, 3]);
  });

  it('a full one takes the place of all before it', async () => {
    const { id } = await aSavedLease();
    await checkpoint(id);
    await checkpoint(id);
    homes.onSave(({ base }) => {
      if (base) {
        throw new StateMissingError('the tenant removed it');
      }
    });
    await checkpoint(id);
    expect((await shown(id))?.archives).toMatchObject([{ number: 3, full: true }]);
    expect(homes.stored.get(id)).toMatchObject([{ number: 3 }]);
  });

  it('begin anew where the store was emptied', async () => {
    const { id } = await aSavedLease();
    await checkpoint(id);
    homes.stored.clear();
    await checkpoint(id);
    expect((await shown(id))?.archives).toMatchObject([{ number: 2, full: true }]);
  });

  it('that fail leave what there was, say why, come seldomer, and tell it once', async () => {
    const { id } = await aSavedLease();
    await checkpoint(id);
    homes.onSave(() => {
      throw new TooLargeError('too large');
    });
    const pauses: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      await checkpoint(id);
      pauses.push(Math.round((await dueIn(id)) / 300));
    }
    expect(pauses).toEqual([1, 2, 4, 8, 8]);
    expect(await shown(id)).toMatchObject({ archives: [{ number: 1 }], error: 'too large' });
    expect(await events('checkpoint.failed')).toEqual([{ message: 'too large' }]);
    homes.onSave(() => undefined);
    await checkpoint(id);
    expect(await shown(id)).toMatchObject({ error: null });
  });

  it('go with the lease: at its end they are removed, and it is recorded', async () => {
    const { id } = await aSavedLease();
    await checkpoint(id);
    await releaseLease(ctx, { leaseId: id, by: user });
    await saveWhatIsDue();
    expect(homes.stored.size).toBe(0);
    expect(await shown(id)).toMatchObject({ archives: [], lastAt: null });
    expect(await events('checkpoint.removed')).toEqual([{ files: 1, bytes: 1000 }]);
    expect(await count(database.db, 'SELECT COUNT(*) FROM checkpoints WHERE due_at IS NOT NULL')).toBe(0);
  });

  it('of a lease that ends meanwhile are not kept; what a frozen process writes after the end is swept', async () => {
    const { id } = await aSavedLease();
    await makeDue(id);
    homes.onSave(async () => {
      await releaseLease(ctx, { leaseId: id, by: user });
    });
    await saveWhatIsDue();
    expect(homes.stored.get(id) ?? []).toEqual([]);
    await saveWhatIsDue();
    homes.stored.set(id, [{ number: 1, full: true, generation: 1, bytes: 5 }]).set(777, []);
    const running = await aSavedLease();
    homes.stored.set(running.id, [{ number: 1, full: true, generation: 1, bytes: 5 }]);
    await sweepCheckpoints(ctx);
    expect([...homes.stored.keys()]).toEqual([running.id]);
  });

  it('are not taken from a node that is lost, or has no account', async () => {
    const [lost, fresh] = [await aSavedLease(), await aSavedLease()];
    await die(lost);
    await age(database.db, "UPDATE placements SET state = 'creating' WHERE lease_id = ?", [fresh.id]);
    await checkpoint(lost.id);
    await checkpoint(fresh.id);
    expect(homes.saves).toEqual([]);
    expect(await dueIn(fresh.id)).toBeGreaterThan(290);
  });
});

describe('restoring', () => {
  it('a lease that moves finds its home on the next node before it is active, and the next checkpoint there is a full one', async () => {
    const lease = await aSavedLease();
    await checkpoint(lease.id);
    await checkpoint(lease.id);
    await die(lease);
    await aNode(database.db);
    const states: string[] = [];
    homes.onRestore(async () => void states.push(await stateOf(lease.id)));
    expect(await migrate()).toBe('moved');
    expect(states).toEqual(['migrating']);
    expect(homes.restores).toMatchObject([{ leaseId: lease.id, archives: [{ number: 1 }, { number: 2 }] }]);
    expect(await stateOf(lease.id)).toBe('active');
    expect(await events('checkpoint.restored')).toMatchObject([{ generation: 2, bytes: 2000 }]);
    await checkpoint(lease.id);
    expect((await shown(lease.id))?.archives).toMatchObject([{ number: 3, full: true, generation: 2 }]);
  });

  it('an archive that cannot be restored keeps nobody from the next node: after another attempt the lease goes on, and says so', async () => {
    const lease = await aSavedLease();
    await checkpoint(lease.id);
    await die(lease);
    await aNode(database.db);
    homes.onRestore(() => {
      throw new RestoreError('archive 1 is missing or corrupt');
    });
    expect(await migrate()).toBe('moved');
    expect(homes.restores).toHaveLength(2);
    expect(await stateOf(lease.id)).toBe('active');
    expect(await shown(lease.id)).toMatchObject({ error: expect.stringContaining('archive 1 is missing or corrupt') });
    expect(await events('checkpoint.restore_failed')).toHaveLength(1);
  });

  it('a node that breaks off while it is restored to is a failure of the node: the lease goes to another', async () => {
    const lease = await aSavedLease();
    await checkpoint(lease.id);
    await die(lease);
    await aNode(database.db);
    await aNode(database.db);
    homes.onRestore((attempt) => {
      if (attempt === 1) {
        throw new Error('the session broke');
      }
    });
    await migrate();
    await migrate();
    expect(homes.restores.map(({ home }) => home.target.nodeId)).toHaveLength(2);
    expect(new Set(homes.restores.map(({ home }) => home.target.nodeId)).size).toBe(2);
    expect(await findLease(database.db, lease.id)).toMatchObject({ state: 'active', generation: 3 });
  });

  it('nothing is ever put over a home that the tenant has been in: not when its end is brought up to date, not when its node comes back', async () => {
    const lease = await aSavedLease();
    await checkpoint(lease.id);
    await die(lease);
    await aNode(database.db);
    await migrate();
    expect(homes.restores).toHaveLength(1);
    for (const state of ['present', 'creating']) {
      await age(database.db, 'UPDATE placements SET state = ?, due_at = UTC_TIMESTAMP(3) WHERE current_lease_id = ?', [state, lease.id]);
      for (const claim of await claimPlacements(ctx, 1)) {
        await runPlacement(ctx, claim);
      }
    }
    expect(provisioner.calls).toHaveLength(3);
    expect(homes.restores).toHaveLength(1);
  });
});

describe('a planned move', () => {
  const drainWithLease = (lease: TestLease): Promise<unknown> => drain(ctx, { nodeId: lease.nodeId, by: user, move: true });

  it('takes a fresh checkpoint from the old node first, and then moves', async () => {
    const lease = await aSavedLease();
    await checkpoint(lease.id);
    await aNode(database.db);
    await drainWithLease(lease);
    expect([await migrate(), await migrate()]).toEqual(['saving', 'saving']);
    await saveWhatIsDue();
    expect(await migrate()).toBe('moved');
    expect(homes.restores).toMatchObject([{ archives: [{ number: 1 }, { number: 2 }] }]);
  });

  it('does not count a checkpoint that was begun before it was asked for', async () => {
    const lease = await aSavedLease();
    await aNode(database.db);
    await makeDue(lease.id);
    const [early] = await claimCheckpoints(ctx, 1);
    await drainWithLease(lease);
    expect(await migrate()).toBe('saving');
    if (early) {
      await checkpointHome(ctx, early);
    }
    expect(await migrate()).toBe('saving');
    await saveWhatIsDue();
    expect(await migrate()).toBe('moved');
  });

  it('does not wait for one that fails, nor for one that does not come, nor where there are none', async () => {
    const [failing, slow, without] = [await aSavedLease(), await aSavedLease(), await aSavedLease({ enabled: false })];
    homes.onSave(() => {
      throw new Error('no');
    });
    await aNode(database.db);
    await drainWithLease(failing);
    expect(await migrate()).toBe('saving');
    await saveWhatIsDue();
    expect(await migrate()).toBe('moved');
    await aNode(database.db);
    await drainWithLease(slow);
    expect(await migrate()).toBe('saving');
    await age(database.db, 'UPDATE checkpoints SET wanted_at = wanted_at - INTERVAL 121 SECOND WHERE lease_id = ?', [slow.id]);
    expect(await migrate()).toBe('moved');
    await aNode(database.db);
    await drainWithLease(without);
    expect(await migrate()).toBe('moved');
  });

  it('asks only once there is a node to go to, and a node that is dead is not asked at all', async () => {
    const lease = await aSavedLease();
    await drainWithLease(lease);
    expect(await migrate()).toBe('waiting');
    expect(await count(database.db, 'SELECT COUNT(*) FROM checkpoints WHERE wanted_at IS NOT NULL')).toBe(0);
    await aNode(database.db);
    expect(await migrate()).toBe('saving');
    await die(lease);
    expect(await migrate()).toBe('moved');
  });
});
