import { type CheckpointContext, checkpointHome, claimCheckpoints } from '../../../src/flows/placements/checkpoint-home';
import type { WorkContext } from '../../../src/flows/support/context';
import { migrateNextLease } from '../../../src/flows/migration/migrate-leases';
import { runPlacement } from '../../../src/flows/placements/run-placement';
import { viewLeases } from '../../../src/flows/leases/view-lease';
import { fromJson } from '../../../src/db/sql';
import { transaction } from '../../../src/db/transaction';
import type { User } from '../../../src/modules/accounts';
import { type Checkpoint, insertCheckpoints } from '../../../src/modules/checkpoints';
import { findLease } from '../../../src/modules/leases';
import { aLease, aNode, aUser, type TestLease } from '../../support/builders';
import { createTestContext } from '../../support/context';
import { age, row, rows, type TestDatabase } from '../../support/database';
import { createFakeHomes } from '../../support/fake-homes';
import { createFakeProvisioner } from '../../support/fake-provisioner';

const SETTINGS = { intervalSeconds: 300, maxBytes: 1_000_000 };

/** The flows of checkpoints over a real database, with homes and a provisioner that stand in for real ones. One for each test. */
export class CheckpointStage {
  readonly homes = createFakeHomes();
  readonly provisioner = createFakeProvisioner();
  readonly ctx: CheckpointContext & WorkContext;

  private constructor(
    readonly database: TestDatabase,
    readonly user: User,
  ) {
    this.ctx = { ...createTestContext(database.db, this.provisioner, { checkpoints: SETTINGS }), homes: this.homes, checkpoints: SETTINGS };
  }

  /** On a database that is emptied. The user is an admin. */
  static async open(database: TestDatabase): Promise<CheckpointStage> {
    await database.reset();
    return new CheckpointStage(database, await aUser(database.db, { role: 'admin' }));
  }

  async aSavedLease({ enabled = true } = {}): Promise<TestLease> {
    const { db } = this.database;
    const lease = await aLease(db, { userId: this.user.id, nodeId: (await aNode(db)).id });
    await transaction(db, (tx) => insertCheckpoints(tx, [{ leaseId: lease.id, enabled }], 300));
    return lease;
  }

  makeDue(id: number): Promise<void> {
    return age(this.database.db, 'UPDATE checkpoints SET due_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND WHERE lease_id = ?', [id]);
  }

  async checkpoint(id: number): Promise<void> {
    await this.makeDue(id);
    await this.saveWhatIsDue();
  }

  async saveWhatIsDue(): Promise<void> {
    for (const claim of await claimCheckpoints(this.ctx, 10)) {
      await checkpointHome(this.ctx, claim);
    }
  }

  async shown(id: number): Promise<Checkpoint | null> {
    const lease = await findLease(this.database.db, id);
    const [view] = await viewLeases(this.database.db, lease ? [lease] : []);
    return view?.checkpoint ?? null;
  }

  /** Seconds. */
  async dueIn(id: number): Promise<number> {
    const { s } = await row<{ s: string }>(
      this.database.db,
      'SELECT TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), due_at) / 1000000 AS s FROM checkpoints WHERE lease_id = ?',
      [id],
    );
    return Math.round(Number(s));
  }

  /** What the events of this type say, in order. */
  async events(type: string): Promise<Record<string, unknown>[]> {
    return (await rows<{ data: unknown }>(this.database.db, 'SELECT data FROM events WHERE type = ? ORDER BY id', [type])).map(({ data }) =>
      fromJson(data),
    );
  }

  /** The lease's node is dead. */
  async die(lease: TestLease): Promise<void> {
    await age(this.database.db, "UPDATE nodes SET status = 'dead' WHERE id = ?", [lease.nodeId]);
    await age(this.database.db, "UPDATE leases SET state = 'migrating', due_at = UTC_TIMESTAMP(3) WHERE id = ?", [lease.id]);
  }

  /** One pass, with the account that it leads to. */
  async migrate(): Promise<string> {
    await this.database.db.raw('UPDATE leases SET due_at = UTC_TIMESTAMP(3) WHERE due_at IS NOT NULL');
    const step = await migrateNextLease(this.ctx);
    if (step.outcome === 'moved') {
      await runPlacement(this.ctx, step.placement);
    }
    return step.outcome;
  }

  async stateOf(id: number): Promise<string> {
    return (await findLease(this.database.db, id))?.state ?? 'none';
  }
}
