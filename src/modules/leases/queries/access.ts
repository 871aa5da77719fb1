import { execute, fromJson, marks, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';

/**
 * Locks the running leases of a user whose row the caller has locked already. So no new account of the user can be missed. Returns the
 * leases' own keys by lease.
 */
export async function lockKeysOfLeases(tx: Tx, userId: number): Promise<Map<number, string[]>> {
  const rows = await selectRows<{ id: number; keys: unknown }>(
    tx,
    'SELECT id, public_keys AS `keys` FROM leases WHERE user_id = ? AND occupied_node_id IS NOT NULL ORDER BY id FOR UPDATE',
    [userId],
  );
  return new Map(rows.map(({ id, keys }) => [id, fromJson<string[]>(keys)]));
}

export async function setKeysOfLease(tx: Tx, leaseId: number, publicKeys: string[]): Promise<void> {
  await execute(tx, 'UPDATE leases SET public_keys = ? WHERE id = ?', [JSON.stringify(publicKeys), leaseId]);
}

/**
 * Records that the keys for the accounts of these leases changed, and makes the accounts due. An account that a scheduler is working on
 * becomes due when that claim is completed.
 */
export async function wantAccessAnew(tx: Tx, leaseIds: number[]): Promise<void> {
  if (leaseIds.length > 0) {
    await execute(
      tx,
      `UPDATE placements SET access_wanted = access_wanted + 1, due_at = IF(claim_token IS NULL AND state = 'present', UTC_TIMESTAMP(3), due_at)
        WHERE current_lease_id IN (${marks(leaseIds)})`,
      leaseIds,
    );
  }
}

/**
 * Makes up to `limit` accounts due that are out of date and would not become due otherwise: a release that does not record the keys of
 * accounts made them or moved their end, or they were made under another `rule`. Returns how many accounts became due.
 */
export async function refreshOutdatedAccounts(db: Db, rule: string, limit: number): Promise<number> {
  const rows = await selectRows<{ id: number }>(
    db,
    `SELECT p.id FROM leases l STRAIGHT_JOIN placements p ON p.current_lease_id = l.id
      WHERE p.state = 'present' AND p.due_at IS NULL AND l.state = 'active' AND l.ends_at > UTC_TIMESTAMP(3)
        AND (p.access_applied <> p.access_wanted OR p.access_rule <> ? OR p.applied_ends_at IS NULL OR p.applied_ends_at <> l.ends_at) LIMIT ?`,
    [rule, limit],
  );
  if (rows.length > 0) {
    const ids = rows.map(({ id }) => id);
    await execute(
      db,
      `UPDATE placements SET access_wanted = access_wanted + 1, due_at = UTC_TIMESTAMP(3) WHERE id IN (${marks(ids)}) AND state = 'present' AND due_at IS NULL AND claim_token IS NULL`,
      ids,
    );
  }
  return rows.length;
}
