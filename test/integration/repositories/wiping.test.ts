import { beforeEach, describe, expect, it } from '@jest/globals';
import { claimWipes, wipeNode } from '../../../src/flows/placements/wipe-node';
import { NewerAccountError, UnfinishedWipeError } from '../../../src/modules/provisioning';
import { aNode, type TestNode } from '../../support/builders';
import { createTestContext } from '../../support/context';
import { age, count, row } from '../../support/database';
import { createFakeProvisioner } from '../../support/fake-provisioner';
import { useForAll, useTestDatabase } from '../../support/hooks';

const provisioner = createFakeProvisioner();
const database = useTestDatabase({ resetEach: true });
const ctx = useForAll(() => createTestContext(database.db, provisioner));
beforeEach(() => provisioner.reset());

const node = (id: number): Promise<Record<string, unknown>> =>
  row(database.db, 'SELECT status, dirty, leasable, wipe_failures, wipe_due_at FROM nodes WHERE id = ?', [id]);
async function wipeWhatIsDue(): Promise<number> {
  const claims = await claimWipes(ctx, 10);
  await Promise.all(claims.map((claim) => wipeNode(ctx, claim)));
  return claims.length;
}

describe('wiping', () => {
  const dirtyNode = async (): Promise<TestNode> => {
    const made = await aNode(database.db, { dirty: true });
    await age(database.db, 'UPDATE nodes SET wipe_due_at = UTC_TIMESTAMP(3), next_uid = 200007 WHERE id = ?', [made.id]);
    return made;
  };

  it('I9: one that leaves something is retried with growing pauses, then quarantined, and never freed', async () => {
    const { id } = await dirtyNode();
    provisioner.leave(['process 4711']);
    const pauses: number[] = [];
    for (let n = 1; n <= 5; n += 1) {
      expect(await wipeWhatIsDue()).toBe(1);
      expect(await node(id)).toMatchObject({ dirty: 1, leasable: 0 });
      pauses.push(
        await count(database.db, 'SELECT COALESCE(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), wipe_due_at) / 1e6, -1) FROM nodes'),
      );
      await database.db.raw('UPDATE nodes SET wipe_due_at = IF(wipe_due_at IS NULL, NULL, UTC_TIMESTAMP(3))');
    }
    pauses.slice(0, 4).forEach((pause, n) => {
      expect(pause).toBeGreaterThan(2.5 * 2 ** n - 1);
      expect(pause).toBeLessThanOrEqual(5 * 2 ** n);
    });
    expect(await node(id)).toMatchObject({ status: 'quarantined', dirty: 1, leasable: 0, wipe_due_at: null });
    expect(await wipeWhatIsDue()).toBe(0);
    expect(await row(database.db, 'SELECT status_reason FROM nodes')).toMatchObject({
      status_reason: expect.stringContaining('process 4711'),
    });
  });

  it('I5: a claim lost during the wipe frees nothing', async () => {
    const { id } = await dirtyNode();
    provisioner.behave(async ({ verb }) => {
      if (verb === 'verifyClean') {
        await age(database.db, "UPDATE nodes SET wipe_token = 'somebody else'");
      }
    });
    await wipeWhatIsDue();
    expect(await node(id)).toMatchObject({ dirty: 1, leasable: 0, wipe_failures: 0 });
  });

  /** The node holds an account that is newer than any that it was given before the claim. */
  const refuseAsLate = (meanwhile: () => Promise<unknown>): void =>
    provisioner.behave(async ({ verb, newestUid }) => {
      if (verb === 'wipe' && (newestUid ?? 0) < 300_000) {
        await meanwhile();
        throw new NewerAccountError(300_000, 'the fake holds a newer account');
      }
    });

  it('I5: a wipe that finds the next tenant there, its claim being lost, is over', async () => {
    const { id } = await dirtyNode();
    refuseAsLate(() => age(database.db, "UPDATE nodes SET wipe_token = 'somebody else'"));
    await wipeWhatIsDue();
    expect(provisioner.calls).toEqual([expect.objectContaining({ verb: 'wipe', newestUid: 200_006 })]);
    expect(await node(id)).toMatchObject({ dirty: 1, wipe_failures: 0 });
  });

  it('I5: while the claim holds, what the node has is of another life, and goes', async () => {
    const { id } = await dirtyNode();
    refuseAsLate(() => Promise.resolve());
    await wipeWhatIsDue();
    expect(provisioner.calls.map(({ verb, newestUid }) => [verb, newestUid])).toEqual([
      ['wipe', 200_006],
      ['wipe', 300_000],
      ['verifyClean', undefined],
    ]);
    expect(await node(id)).toMatchObject({ dirty: 0, leasable: 1 });
  });

  it('I6: a node that cannot be reached for its wipe is suspected, and stays dirty', async () => {
    const { id } = await dirtyNode();
    provisioner.fail('unreachable', { verb: 'wipe' });
    await wipeWhatIsDue();
    expect(await node(id)).toMatchObject({ status: 'suspect', dirty: 1, wipe_failures: 1 });
  });

  it('I9: a wipe that removed something before its time was over goes on, as often as it takes, and is no failure', async () => {
    const { id } = await dirtyNode();
    provisioner.behave(() => {
      throw new UnfinishedWipeError('the fake has more files');
    });
    for (let attempts = 0; attempts < 2 * ctx.settings.maxWipeFailures; attempts += await wipeWhatIsDue()) {
      await age(database.db, 'UPDATE nodes SET wipe_due_at = UTC_TIMESTAMP(3)');
    }
    expect(await node(id)).toMatchObject({ status: 'alive', dirty: 1, leasable: 0, wipe_failures: 0 });
  });

  it('I10: one node whose wipes fail does not keep the others from being wiped', async () => {
    const [failing, well] = [await dirtyNode(), await dirtyNode()];
    provisioner.fail('failed', { verb: 'wipe', nodes: [failing.id] });
    expect(await wipeWhatIsDue()).toBe(2);
    expect(await node(well.id)).toMatchObject({ leasable: 1 });
    expect(await node(failing.id)).toMatchObject({ dirty: 1 });
  });
});
