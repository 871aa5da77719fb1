import type { Knex } from 'knex';
import { firstPruneRound, pruneHistory } from '../../../src/flows/leases/prune-history';
import type { FlowContext } from '../../../src/flows/support/context';
import { recordEvent } from '../../../src/modules/audit';
import { aLease, type TestLease } from '../../support/builders';
import { createTestContext } from '../../support/context';
import { age, rows } from '../../support/database';
import { createFakeProvisioner } from '../../support/fake-provisioner';

/** A scheduler over its own pool that does not pause between windows. */
export function aPruner(db: Knex, historyDays = 400): FlowContext {
  const ctx = createTestContext(db, createFakeProvisioner(), { historyDays });
  return { ...ctx, clock: { ...ctx.clock, sleep: () => Promise.resolve() } };
}

/** Runs a whole round, and returns what it deleted. */
export async function pruneAll(ctx: FlowContext): Promise<{ leases: number; events: number }> {
  const round = firstPruneRound();
  let deleted = round.deleted;
  for (let result = 'more'; result === 'more'; result = await pruneHistory(ctx, round)) {
    ({ deleted } = round);
  }
  return deleted;
}

/** A lease that ended so many days ago, and whose account is wiped, with all that belongs to it. Its node is free again. */
export async function anEndedLease(db: Knex, { days, ...of }: { userId: number; nodeId: number; days: number }): Promise<TestLease> {
  const lease = await aLease(db, of);
  await age(
    db,
    `UPDATE leases SET state = 'ended', occupied_node_id = NULL, created_at = created_at - INTERVAL ? DAY,
            ends_at = UTC_TIMESTAMP(3) - INTERVAL ? DAY, ended_at = UTC_TIMESTAMP(3) - INTERVAL ? DAY WHERE id = ?`,
    [days + 1, days, days, lease.id],
  );
  const wiped = "state = 'wiped', current_lease_id = NULL, wiped_at = UTC_TIMESTAMP(3), report = '{}'";
  await age(db, `UPDATE placements SET ${wiped} WHERE lease_id = ?`, [lease.id]);
  await age(db, 'UPDATE nodes SET lease_id = NULL WHERE id = ?', [of.nodeId]);
  const [columns, values] = ['lease_id, ends_before, ends_after, extended_by', '?, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) + INTERVAL 1 DAY, 1'];
  await db.raw(`INSERT INTO extensions (${columns}) VALUES (${values})`, [lease.id]);
  await db.raw("INSERT INTO checkpoints (lease_id, enabled, archives) VALUES (?, 1, '[]')", [lease.id]);
  await anEvent(db, days, lease.id);
  return lease;
}

export async function anEvent(db: Knex, days: number, leaseId?: number): Promise<void> {
  await recordEvent(db, { type: 'lease.active', actor: 'test', leaseId });
  await age(db, 'UPDATE events SET at = at - INTERVAL ? DAY ORDER BY id DESC LIMIT 1', [days]);
}

/** Rows of each table of the history. */
export async function countHistory(db: Knex): Promise<Record<string, number>> {
  const tables = ['leases', 'rents', 'placements', 'extensions', 'checkpoints', 'events'];
  const sql = tables.map((name) => `SELECT '${name}' AS name, COUNT(*) AS n FROM ${name}`).join(' UNION ALL ');
  const counts = await rows<{ name: string; n: number }>(db, sql);
  return Object.fromEntries(counts.map(({ name, n }) => [name, n]));
}

const daysAgo = (days: number): string => `UTC_TIMESTAMP(3) - INTERVAL ${days} DAY`;

interface Filling {
  userId: number;
  nodeId: number;
  n: number;
  perRent?: number;
}

/** Inserts leases that ended 450 days ago, with the ids from 1 on. They share one node, whose newest account stays with its rent. */
export async function fillHistory(db: Knex, { userId, nodeId, n, perRent = 1 }: Filling): Promise<void> {
  const rents = n / perRent;
  await db.raw(`INSERT INTO rents (id, user_id, request_hash) SELECT seq, ?, 'h' FROM seq_1_to_${rents}`, [userId]);
  await db.raw(
    `INSERT INTO leases (id, rent_id, user_id, state, requirements, public_keys, created_at, ends_at, ended_at)
     SELECT seq, 1 + seq % ${rents}, ?, 'ended', '{}', '[]', ${daysAgo(500)}, ${daysAgo(450)}, ${daysAgo(450)}
       FROM seq_1_to_${n}`,
    [userId],
  );
  await db.raw(
    `INSERT INTO placements (lease_id, node_id, generation, state, username, uid)
     SELECT id, ?, 1, 'wiped', CONCAT('orn-', id), 70000 + id FROM leases`,
    [nodeId],
  );
  await db.raw("INSERT INTO events (type, actor, lease_id, at, data) SELECT 'lease.active', 'test', id, ends_at, '{}' FROM leases");
}
