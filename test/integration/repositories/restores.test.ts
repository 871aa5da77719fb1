import { describe, expect, it } from '@jest/globals';
import { drain } from '../../../src/flows/nodes/operate-node';
import { releaseLease } from '../../../src/flows/leases/release-lease';
import { claimPlacements, runPlacement } from '../../../src/flows/placements/run-placement';
import { RestoreError } from '../../../src/modules/checkpoints';
import { findLease } from '../../../src/modules/leases';
import { aNode, severalNodes, type TestLease } from '../../support/builders';
import { age, count, row } from '../../support/database';
import { useForEach, useTestDatabase } from '../../support/hooks';
import { CheckpointStage } from './checkpoint-stage';

const database = useTestDatabase();
const stage = useForEach(() => CheckpointStage.open(database));

describe('restoring', () => {
  it('a lease that moves finds its home on the next node before it is active, and the next checkpoint there is a full one', async () => {
    const lease = await stage.aSavedLease();
    await stage.checkpoint(lease.id);
    await stage.checkpoint(lease.id);
    await stage.die(lease);
    await aNode(database.db);
    const states: string[] = [];
    stage.homes.onRestore(async () => void states.push(await stage.stateOf(lease.id)));
    expect(await stage.migrate()).toBe('moved');
    expect(states).toEqual(['migrating']);
    expect(stage.homes.restores).toMatchObject([{ leaseId: lease.id, archives: [{ number: 1 }, { number: 2 }] }]);
    expect(await stage.stateOf(lease.id)).toBe('active');
    expect(await stage.events('checkpoint.restored')).toMatchObject([{ generation: 2, bytes: 2000 }]);
    await stage.checkpoint(lease.id);
    expect((await stage.shown(lease.id))?.archives).toMatchObject([{ number: 3, full: true, generation: 2 }]);
  });

  it('an archive that cannot be restored keeps nobody from the next node: after another attempt the lease goes on, and says so', async () => {
    const lease = await stage.aSavedLease();
    await stage.checkpoint(lease.id);
    await stage.die(lease);
    await severalNodes(database.db, 3);
    stage.homes.spoil();
    stage.homes.onRestore(() => {
      throw new RestoreError('archive 1 is missing or corrupt');
    });
    expect(await stage.migrate()).toBe('moved');
    expect(stage.homes.restores).toHaveLength(2);
    expect(await stage.stateOf(lease.id)).toBe('active');
    expect(await stage.shown(lease.id)).toMatchObject({ error: expect.stringContaining('archive 1 is missing or corrupt') });
    expect(await stage.events('checkpoint.restore_failed')).toHaveLength(1);
  });

  describe('of archives that are whole, on a node that cannot take them', () => {
    const noRoom = (): never => {
      throw new RestoreError('archive 1 could not be extracted (2: No space left on device)');
    };

    it('goes to another node, before the tenant has been there, and leaves an account to be wiped', async () => {
      const lease = await stage.aSavedLease();
      await stage.checkpoint(lease.id);
      await stage.die(lease);
      await severalNodes(database.db, 2);
      stage.homes.onRestore((attempt) => (attempt <= 2 ? noRoom() : undefined));
      expect(await stage.migrate()).toBe('moved');
      const tried = stage.homes.restores.map(({ home }) => home.target.nodeId);
      expect([tried.length, new Set(tried).size]).toEqual([3, 2]);
      expect(await findLease(database.db, lease.id)).toMatchObject({ state: 'active', generation: 3, occupiedNodeId: tried[2] });
      expect(await row(database.db, 'SELECT state, present_at FROM placements WHERE node_id = ?', [tried[0] ?? 0])).toEqual({
        state: 'wiping',
        present_at: null,
      });
      expect(await row(database.db, 'SELECT dirty, leasable, lease_id FROM nodes WHERE id = ?', [tried[0] ?? 0])).toEqual({
        dirty: 1,
        leasable: 0,
        lease_id: null,
      });
      expect(await stage.shown(lease.id)).toMatchObject({ error: null });
      expect(await stage.events('placement.failed')).toMatchObject([
        { failure: 'restore', message: expect.stringContaining('No space left') },
      ]);
      expect(await stage.events('checkpoint.restored')).toHaveLength(1);
    });

    it('stays where no other is free, with what could be had, and says so', async () => {
      const lease = await stage.aSavedLease();
      await stage.checkpoint(lease.id);
      await stage.die(lease);
      await aNode(database.db);
      stage.homes.onRestore(noRoom);
      expect(await stage.migrate()).toBe('moved');
      expect(await findLease(database.db, lease.id)).toMatchObject({ state: 'active', generation: 2 });
      expect(await stage.shown(lease.id)).toMatchObject({ error: expect.stringContaining('No space left') });
      expect(await stage.events('placement.failed')).toEqual([]);
    });

    it('does not wander for ever', async () => {
      const lease = await stage.aSavedLease();
      await stage.checkpoint(lease.id);
      await stage.die(lease);
      await severalNodes(database.db, 9);
      stage.homes.onRestore(noRoom);
      await stage.migrate();
      expect(await findLease(database.db, lease.id)).toMatchObject({ state: 'active', generation: 4 });
      expect(stage.homes.restores).toHaveLength(6);
      expect(await stage.events('checkpoint.restore_failed')).toHaveLength(1);
    });

    it('stays where it was late: another node is hardly faster', async () => {
      const lease = await stage.aSavedLease();
      await stage.checkpoint(lease.id);
      await stage.die(lease);
      await severalNodes(database.db, 3);
      stage.homes.onRestore(() => {
        throw new RestoreError('not within 300 s', true);
      });
      await stage.migrate();
      expect(await findLease(database.db, lease.id)).toMatchObject({ state: 'active', generation: 2 });
    });

    it.each([
      ['the lease is over by then', (lease: TestLease) => releaseLease(stage.ctx, { leaseId: lease.id, by: stage.user })],
      [
        'another has taken the placement over',
        () => age(database.db, "UPDATE placements SET claim_token = 'somebody else' WHERE state = 'creating'"),
      ],
    ])('goes nowhere when %s', async (_, meanwhile) => {
      const lease = await stage.aSavedLease();
      await stage.checkpoint(lease.id);
      await stage.die(lease);
      await severalNodes(database.db, 3);
      stage.homes.onRestore(async (attempt) => {
        if (attempt === 2) {
          await meanwhile(lease);
        }
        noRoom();
      });
      await stage.migrate();
      expect(await count(database.db, 'SELECT MAX(generation) FROM placements')).toBe(2);
      expect(await stage.events('placement.failed')).toEqual([]);
      expect(await stage.stateOf(lease.id)).not.toBe('active');
    });
  });

  it('a node that breaks off while it is restored to is a failure of the node: the lease goes to another', async () => {
    const lease = await stage.aSavedLease();
    await stage.checkpoint(lease.id);
    await stage.die(lease);
    await aNode(database.db);
    await aNode(database.db);
    stage.homes.onRestore((attempt) => {
      if (attempt === 1) {
        throw new Error('the session broke');
      }
    });
    await stage.migrate();
    await stage.migrate();
    expect(stage.homes.restores.map(({ home }) => home.target.nodeId)).toHaveLength(2);
    expect(new Set(stage.homes.restores.map(({ home }) => home.target.nodeId)).size).toBe(2);
    expect(await findLease(database.db, lease.id)).toMatchObject({ state: 'active', generation: 3 });
  });

  it('nothing is ever put over a home that the tenant has been in: not when its end is brought up to date, not when its node comes back', async () => {
    const lease = await stage.aSavedLease();
    await stage.checkpoint(lease.id);
    await stage.die(lease);
    await aNode(database.db);
    await stage.migrate();
    expect(stage.homes.restores).toHaveLength(1);
    for (const state of ['present', 'creating']) {
      await age(database.db, 'UPDATE placements SET state = ?, due_at = UTC_TIMESTAMP(3) WHERE current_lease_id = ?', [state, lease.id]);
      for (const claim of await claimPlacements(stage.ctx, 1)) {
        await runPlacement(stage.ctx, claim);
      }
    }
    expect(stage.provisioner.calls).toHaveLength(3);
    expect(stage.homes.restores).toHaveLength(1);
  });

  it('a node that is to be left again while the home is put back there is left with all that was written on it', async () => {
    const lease = await stage.aSavedLease();
    await stage.checkpoint(lease.id);
    await stage.die(lease);
    const second = await aNode(database.db);
    stage.homes.onRestore(async (attempt) => {
      if (attempt === 1) {
        await drain(stage.ctx, { nodeId: second.id, by: stage.user, move: true });
        await aNode(database.db);
        expect(await stage.migrate()).toBe('saving');
        // There is no account yet: nothing is saved.
        await stage.saveWhatIsDue();
      }
    });
    expect(await stage.migrate()).toBe('moved');
    expect(await findLease(database.db, lease.id)).toMatchObject({ state: 'migrating', generation: 2 });
    expect(await stage.migrate()).toBe('saving');
    await stage.saveWhatIsDue();
    expect(await stage.migrate()).toBe('moved');
    expect(stage.homes.saves.map(({ order }) => order.generation)).toEqual([1, 2]);
    expect(stage.homes.restores.at(-1)).toMatchObject({ archives: [{ generation: 2 }] });
  });
});
