import { describe, expect, it } from '@jest/globals';
import { checkpointHome, claimCheckpoints, sweepCheckpoints } from '../../../src/flows/placements/checkpoint-home';
import { drain } from '../../../src/flows/nodes/operate-node';
import { releaseLease } from '../../../src/flows/leases/release-lease';
import { StateMissingError, TooLargeError } from '../../../src/modules/checkpoints';
import { aNode, type TestLease } from '../../support/builders';
import { age, count } from '../../support/database';
import { useForEach, useTestDatabase } from '../../support/hooks';
import { CheckpointStage } from './checkpoint-stage';

const database = useTestDatabase();
const stage = useForEach(() => CheckpointStage.open(database));

describe('checkpoints', () => {
  it('are due at an interval, full at first and then what changed, and the lease shows how old the last one is', async () => {
    const { id } = await stage.aSavedLease();
    expect(await claimCheckpoints(stage.ctx, 10)).toEqual([]);
    expect(await stage.shown(id)).toMatchObject({ enabled: true, lastAt: null, ageSeconds: null, archives: [], error: null });
    await stage.checkpoint(id);
    await stage.checkpoint(id);
    expect((await stage.shown(id))?.archives).toMatchObject([
      { number: 1, full: true, generation: 1 },
      { number: 2, full: false },
    ]);
    expect((await stage.shown(id))?.ageSeconds).toBeLessThan(30);
    expect(stage.homes.saves.map(({ order }) => order.base?.number ?? null)).toEqual([null, 1]);
    expect(await stage.dueIn(id)).toBeGreaterThan(290);
  });

  it('are none where the rent wanted none', async () => {
    const { id } = await stage.aSavedLease({ enabled: false });
    expect(await stage.shown(id)).toMatchObject({ enabled: false, lastAt: null });
    expect(await count(database.db, 'SELECT COUNT(*) FROM checkpoints WHERE due_at IS NOT NULL')).toBe(0);
    await releaseLease(stage.ctx, { leaseId: id, by: stage.user });
    expect(await claimCheckpoints(stage.ctx, 10)).toEqual([]);
  });

  it('are claimed once by two schedulers', async () => {
    const leases = await Promise.all(Array.from({ length: 12 }, () => stage.aSavedLease()));
    await Promise.all(leases.map(({ id }) => stage.makeDue(id)));
    const other = { ...stage.ctx, db: database.secondPool() };
    const claims = (await Promise.all([stage.ctx, other, stage.ctx, other].map((each) => claimCheckpoints(each, 4))))
      .flat()
      .map(({ leaseId }) => leaseId);
    expect(new Set(claims).size).toBe(claims.length);
    expect(claims.length).toBeGreaterThan(0);
  });

  it('a scheduler that lost its claim completes nothing, and leaves what another has stored meanwhile', async () => {
    const { id } = await stage.aSavedLease();
    await stage.makeDue(id);
    const [stale] = await claimCheckpoints(stage.ctx, 1);
    await stage.checkpoint(id);
    await stage.checkpoint(id);
    if (!stale) {
      throw new Error('nothing was claimed');
    }
    await checkpointHome(stage.ctx, stale);
    expect((await stage.shown(id))?.archives.map(({ number }) => number)).toEqual([2, 3]);
    expect(stage.homes.stored.get(id)?.map(({ number }) => number)).toEqual([2, 3]);
  });

  it('a full one takes the place of all before it', async () => {
    const { id } = await stage.aSavedLease();
    await stage.checkpoint(id);
    await stage.checkpoint(id);
    stage.homes.onSave(({ base }) => {
      if (base) {
        throw new StateMissingError('the tenant removed it');
      }
    });
    await stage.checkpoint(id);
    expect((await stage.shown(id))?.archives).toMatchObject([{ number: 3, full: true }]);
    expect(stage.homes.stored.get(id)).toMatchObject([{ number: 3 }]);
  });

  it('begin anew where the store was emptied', async () => {
    const { id } = await stage.aSavedLease();
    await stage.checkpoint(id);
    stage.homes.stored.clear();
    await stage.checkpoint(id);
    expect((await stage.shown(id))?.archives).toMatchObject([{ number: 2, full: true }]);
  });

  it('that fail leave what there was, say why, come seldomer, and tell it once', async () => {
    const { id } = await stage.aSavedLease();
    await stage.checkpoint(id);
    stage.homes.onSave(() => {
      throw new TooLargeError('too large');
    });
    const pauses: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      await stage.checkpoint(id);
      pauses.push(Math.round((await stage.dueIn(id)) / 300));
    }
    expect(pauses).toEqual([1, 2, 4, 8, 8]);
    expect(await stage.shown(id)).toMatchObject({ archives: [{ number: 1 }], error: 'too large' });
    expect(await stage.events('checkpoint.failed')).toEqual([{ message: 'too large' }]);
    stage.homes.onSave(() => undefined);
    await stage.checkpoint(id);
    expect(await stage.shown(id)).toMatchObject({ error: null });
  });

  it('go with the lease: at its end they are removed, and it is recorded', async () => {
    const { id } = await stage.aSavedLease();
    await stage.checkpoint(id);
    await releaseLease(stage.ctx, { leaseId: id, by: stage.user });
    await stage.saveWhatIsDue();
    expect(stage.homes.stored.size).toBe(0);
    expect(await stage.shown(id)).toMatchObject({ archives: [], lastAt: null });
    expect(await stage.events('checkpoint.removed')).toEqual([{ files: 1, bytes: 1000 }]);
    expect(await count(database.db, 'SELECT COUNT(*) FROM checkpoints WHERE due_at IS NOT NULL')).toBe(0);
  });

  it('of a lease that ends meanwhile are not kept; what a frozen process writes after the end is swept', async () => {
    const { id } = await stage.aSavedLease();
    await stage.makeDue(id);
    stage.homes.onSave(async () => {
      await releaseLease(stage.ctx, { leaseId: id, by: stage.user });
    });
    await stage.saveWhatIsDue();
    expect(stage.homes.stored.get(id) ?? []).toEqual([]);
    await stage.saveWhatIsDue();
    stage.homes.stored.set(id, [{ number: 1, full: true, generation: 1, bytes: 5 }]).set(777, []);
    const running = await stage.aSavedLease();
    stage.homes.stored.set(running.id, [{ number: 1, full: true, generation: 1, bytes: 5 }]);
    await sweepCheckpoints(stage.ctx);
    expect([...stage.homes.stored.keys()]).toEqual([running.id]);
  });

  it('are not taken from a node that is lost, or has no account', async () => {
    const [lost, fresh] = [await stage.aSavedLease(), await stage.aSavedLease()];
    await stage.die(lost);
    await age(database.db, "UPDATE placements SET state = 'creating' WHERE lease_id = ?", [fresh.id]);
    await stage.checkpoint(lost.id);
    await stage.checkpoint(fresh.id);
    expect(stage.homes.saves).toEqual([]);
    expect(await stage.dueIn(fresh.id)).toBeGreaterThan(290);
  });
});

describe('a planned move', () => {
  const drainWithLease = (lease: TestLease): Promise<unknown> => drain(stage.ctx, { nodeId: lease.nodeId, by: stage.user, move: true });

  it('takes a fresh checkpoint from the old node first, and then moves', async () => {
    const lease = await stage.aSavedLease();
    await stage.checkpoint(lease.id);
    await aNode(database.db);
    await drainWithLease(lease);
    expect([await stage.migrate(), await stage.migrate()]).toEqual(['saving', 'saving']);
    await stage.saveWhatIsDue();
    expect(await stage.migrate()).toBe('moved');
    expect(stage.homes.restores).toMatchObject([{ archives: [{ number: 1 }, { number: 2 }] }]);
  });

  it('does not count a checkpoint that was begun before it was asked for', async () => {
    const lease = await stage.aSavedLease();
    await aNode(database.db);
    await stage.makeDue(lease.id);
    const [early] = await claimCheckpoints(stage.ctx, 1);
    await drainWithLease(lease);
    expect(await stage.migrate()).toBe('saving');
    if (early) {
      await checkpointHome(stage.ctx, early);
    }
    expect(await stage.migrate()).toBe('saving');
    await stage.saveWhatIsDue();
    expect(await stage.migrate()).toBe('moved');
  });

  it('does not wait for one that fails, nor for one that does not come, nor where there are none', async () => {
    const [failing, slow, without] = [await stage.aSavedLease(), await stage.aSavedLease(), await stage.aSavedLease({ enabled: false })];
    stage.homes.onSave(() => {
      throw new Error('no');
    });
    await aNode(database.db);
    await drainWithLease(failing);
    expect(await stage.migrate()).toBe('saving');
    await stage.saveWhatIsDue();
    expect(await stage.migrate()).toBe('moved');
    await aNode(database.db);
    await drainWithLease(slow);
    expect(await stage.migrate()).toBe('saving');
    await age(database.db, 'UPDATE checkpoints SET wanted_at = wanted_at - INTERVAL 121 SECOND WHERE lease_id = ?', [slow.id]);
    expect(await stage.migrate()).toBe('moved');
    await aNode(database.db);
    await drainWithLease(without);
    expect(await stage.migrate()).toBe('moved');
  });

  it('asks only once there is a node to go to, and a node that is dead is not asked at all', async () => {
    const lease = await stage.aSavedLease();
    await drainWithLease(lease);
    expect(await stage.migrate()).toBe('waiting');
    expect(await count(database.db, 'SELECT COUNT(*) FROM checkpoints WHERE wanted_at IS NOT NULL')).toBe(0);
    await aNode(database.db);
    expect(await stage.migrate()).toBe('saving');
    await stage.die(lease);
    expect(await stage.migrate()).toBe('moved');
  });
});
