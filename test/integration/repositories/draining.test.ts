import { beforeEach, describe, expect, it } from '@jest/globals';
import { leaveNode } from '../../../src/flows/enrolment/leave-node';
import { migrateNextLease } from '../../../src/flows/migration/migrate-leases';
import { drain, undrain } from '../../../src/flows/nodes/operate-node';
import { claimPlacements, runPlacement } from '../../../src/flows/placements/run-placement';
import { transaction } from '../../../src/db/transaction';
import { markMigrating } from '../../../src/modules/leases';
import { drainNode } from '../../../src/modules/nodes';
import { eventually } from '../../lab';
import { aLease, aNode, type TestLease } from '../../support/builders';
import { createTestContext } from '../../support/context';
import { age, count, row } from '../../support/database';
import { createFakeProvisioner } from '../../support/fake-provisioner';
import { useForAll, useTestDatabase, useUser } from '../../support/hooks';

const provisioner = createFakeProvisioner();
const database = useTestDatabase({ resetEach: true });
const ctx = useForAll(() => createTestContext(database.db, provisioner));
const other = useForAll(() => createTestContext(database.secondPool(), provisioner));
const user = useUser(database);
beforeEach(() => provisioner.reset());

const lease = (id: number): Promise<Record<string, unknown>> =>
  row(database.db, 'SELECT state, generation, occupied_node_id AS node FROM leases WHERE id = ?', [id]);
const orderDrain = (nodeId: number, move = true): Promise<unknown> => drain(other, { nodeId, move, by: user });
const leaseInTheMaking = async (): Promise<TestLease> =>
  aLease(database.db, { userId: user.id, nodeId: (await aNode(database.db)).id, state: 'provisioning' });

/** Statements of others that have run for so long that they can but wait for a row. */
const waiting = (): Promise<number> =>
  count(
    database.db,
    "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND command = 'Query' AND id <> CONNECTION_ID() AND time_ms > 200",
  );

/** Makes the accounts that are due; `meanwhile` happens while the first of them is made. */
async function makeAccounts(meanwhile?: () => Promise<unknown>): Promise<void> {
  let next = meanwhile;
  provisioner.behave(async ({ verb }) => {
    const act = verb === 'ensurePresent' ? next : undefined;
    next = undefined;
    await act?.();
  });
  await age(database.db, "UPDATE placements SET due_at = UTC_TIMESTAMP(3) WHERE state = 'creating'");
  for (const placement of await claimPlacements(ctx, 10)) {
    await runPlacement(ctx, placement);
  }
}

async function migrate(meanwhile?: () => Promise<unknown>): Promise<string> {
  const step = await migrateNextLease(ctx);
  if (step.outcome === 'moved') {
    await makeAccounts(meanwhile);
  }
  return step.outcome;
}

describe('R6: a node that is drained while an account is made there', () => {
  it('is left as soon as the account is there, when its lease is to move', async () => {
    const { id, nodeId } = await leaseInTheMaking();
    await makeAccounts(() => orderDrain(nodeId));
    expect(await lease(id)).toEqual({ state: 'migrating', generation: 1, node: nodeId });
    const next = await aNode(database.db);
    expect(await migrate()).toBe('moved');
    expect(await lease(id)).toEqual({ state: 'active', generation: 2, node: next.id });
    expect(await row(database.db, "SELECT lease_id, node_id FROM events WHERE type = 'lease.migrating'")).toEqual({
      lease_id: id,
      node_id: nodeId,
    });
  });

  it('is left when it was drained before the account was begun', async () => {
    const { id, nodeId } = await leaseInTheMaking();
    await orderDrain(nodeId);
    expect(await lease(id)).toMatchObject({ state: 'provisioning' });
    await makeAccounts();
    expect(await lease(id)).toMatchObject({ state: 'migrating', node: nodeId });
  });

  it.each([
    ['was not asked to', (nodeId: number) => orderDrain(nodeId, false)],
    [
      'was asked to, and then was not',
      async (nodeId: number) => {
        await orderDrain(nodeId);
        await orderDrain(nodeId, false);
      },
    ],
    [
      'was asked to, and the order was taken back',
      async (nodeId: number) => {
        await orderDrain(nodeId);
        await undrain(other, { nodeId, by: user });
      },
    ],
    [
      'was asked to, and the order was taken back by a replica of the version before',
      async (nodeId: number) => {
        await orderDrain(nodeId);
        await age(database.db, 'UPDATE nodes SET drained = 0, leaving = 0 WHERE id = ?', [nodeId]);
      },
    ],
  ])('keeps a lease that %s', async (_, order) => {
    const { id, nodeId } = await leaseInTheMaking();
    await makeAccounts(() => order(nodeId));
    await aNode(database.db);
    expect(await migrate()).toBe('none');
    expect(await lease(id)).toEqual({ state: 'active', generation: 1, node: nodeId });
  });

  it('is left by a lease that has only just come from another one', async () => {
    const first = await aNode(database.db);
    const { id } = await aLease(database.db, { userId: user.id, nodeId: first.id });
    await orderDrain(first.id);
    const second = await aNode(database.db);
    expect(await migrate(() => orderDrain(second.id))).toBe('moved');
    expect(await lease(id)).toEqual({ state: 'migrating', generation: 2, node: second.id });
    const third = await aNode(database.db);
    expect(await migrate()).toBe('moved');
    expect(await lease(id)).toEqual({ state: 'active', generation: 3, node: third.id });
  });

  it('is left when its machine wants to go, and an order that does not move leases does not change that', async () => {
    const { id, nodeId } = await leaseInTheMaking();
    await makeAccounts(async () => {
      await leaveNode(other, nodeId);
      await orderDrain(nodeId, false);
    });
    expect(await lease(id)).toMatchObject({ state: 'migrating', node: nodeId });
  });

  it('goes on waiting to be left when its account is but brought up to date, and no other is free', async () => {
    const { id, nodeId } = await aLease(database.db, { userId: user.id, nodeId: (await aNode(database.db)).id });
    await orderDrain(nodeId);
    expect(await migrate()).toBe('waiting');
    await orderDrain(nodeId, false);
    await age(database.db, "UPDATE placements SET due_at = UTC_TIMESTAMP(3) WHERE state = 'present'");
    for (const placement of await claimPlacements(ctx, 10)) {
      await runPlacement(ctx, placement);
    }
    expect(await lease(id)).toMatchObject({ state: 'migrating', node: nodeId });
    expect(await count(database.db, 'SELECT COUNT(*) FROM leases WHERE waiting_since IS NOT NULL AND due_at IS NOT NULL')).toBe(1);
  });

  it('a lease leaves its node when the order is written, but not yet committed, while a scheduler completes the account', async () => {
    const { id, nodeId } = await leaseInTheMaking();
    let made: Promise<void> | undefined;
    await transaction(other.db, async (tx) => {
      await drainNode(tx, nodeId, true);
      expect(await markMigrating(tx, id)).toBe(false);
      let completed = false;
      made = makeAccounts().finally(() => (completed = true));
      await eventually(async () => completed || (await waiting()) > 0, { what: 'the account is completed, or its completion waits' });
    });
    await made;
    expect(await lease(id)).toMatchObject({ state: 'migrating', node: nodeId });
  }, 20_000);
});
