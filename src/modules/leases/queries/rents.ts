import { execute, IN_SECONDS, insertRow, selectFirst } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import { newClaimToken, randomName } from '../../../lib/ids';
import type { ClaimedPlacement, LeaseRequirements } from '../types';

export interface Rent {
  id: number;
  requestHash: string;
}

/** The rent that this key stands for, if the key was used before. */
export async function findRentByKey(db: Db, userId: number, idempotencyKey: string): Promise<Rent | undefined> {
  const row = await selectFirst<{ id: number; request_hash: string }>(
    db,
    'SELECT id, request_hash FROM rents WHERE user_id = ? AND idempotency_key = ?',
    [userId, idempotencyKey],
  );
  return row && { id: row.id, requestHash: row.request_hash };
}

/** Throws ER_DUP_ENTRY on `rents_idempotency` when the key was used meanwhile. */
export async function insertRent(tx: Tx, rent: { userId: number; idempotencyKey: string | null; requestHash: string }): Promise<number> {
  return insertRow(tx, 'INSERT INTO rents (user_id, idempotency_key, request_hash) VALUES (?, ?, ?)', [rent.userId, rent.idempotencyKey, rent.requestHash]);
}

export interface NewLease {
  rentId: number;
  userId: number;
  nodeId: number;
  durationSeconds: number;
  requirements: LeaseRequirements;
  publicKeys: string[];
  passwordHash: string | null;
}

/** I1: throws ER_DUP_ENTRY on `leases_occupied_node` when the node is occupied. The end is computed by the database's clock. */
export async function insertLease(tx: Tx, lease: NewLease): Promise<number> {
  return insertRow(
    tx,
    `INSERT INTO leases (rent_id, user_id, state, occupied_node_id, requirements, public_keys, password_hash, created_at, ends_at)
     VALUES (?, ?, 'provisioning', ?, ?, ?, ?, UTC_TIMESTAMP(3), ${IN_SECONDS})`,
    [lease.rentId, lease.userId, lease.nodeId, JSON.stringify(lease.requirements), JSON.stringify(lease.publicKeys), lease.passwordHash, lease.durationSeconds],
  );
}

export interface NewPlacement {
  leaseId: number;
  nodeId: number;
  generation: number;
  uid: number;
  /** The caller works on it at once and holds it for this long. */
  claimSeconds: number;
}

const NAME_LENGTH = 10;

/** The next current placement of a lease, claimed by the caller. I2: throws ER_DUP_ENTRY when the lease has a current one. */
export async function insertPlacement(tx: Tx, placement: NewPlacement): Promise<ClaimedPlacement> {
  const token = newClaimToken();
  const username = `orn-${randomName(NAME_LENGTH)}`;
  const { leaseId, nodeId, generation, uid, claimSeconds } = placement;
  const id = await insertRow(
    tx,
    `INSERT INTO placements (lease_id, node_id, generation, current_lease_id, state, username, uid, due_at, claim_token)
     VALUES (?, ?, ?, ?, 'creating', ?, ?, ${IN_SECONDS}, ?)`,
    [leaseId, nodeId, generation, leaseId, username, uid, claimSeconds, token],
  );
  return { id, token, leaseId, nodeId, generation, username, uid, attempts: 0, untouched: true, state: 'creating' };
}

/** Puts the new placement's node and generation on its lease. */
export async function relocateLease(tx: Tx, leaseId: number, nodeId: number): Promise<void> {
  await execute(
    tx,
    'UPDATE leases SET occupied_node_id = ?, generation = generation + 1, due_at = NULL, waiting_since = NULL WHERE id = ?',
    [nodeId, leaseId],
  );
}
