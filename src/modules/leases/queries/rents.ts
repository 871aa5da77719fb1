import { type Id, IN_SECONDS, rowsOf, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import { zip } from '../../../lib/zip';
import { LEASE_MOVES } from '../moves';
import type { Lease, LeaseRequirements } from '../types';

export interface Rent {
  id: number;
  requestHash: string;
}

/** An idempotency key of a user. The same text of two users is two keys. */
export interface RentKey {
  userId: number;
  idempotencyKey: string;
}

/** Finds the rents of these keys. A key that was not used before has none. */
export async function findRentsByKeys(db: Db, keys: RentKey[]): Promise<(Rent & RentKey)[]> {
  if (keys.length === 0) {
    return [];
  }
  const rows = await selectRows<{ id: number; user_id: number; idempotency_key: string; request_hash: string }>(
    db,
    `SELECT id, user_id, idempotency_key, request_hash FROM rents WHERE (user_id, idempotency_key) IN (${rowsOf(keys, '(?, ?)')})`,
    keys.flatMap(({ userId, idempotencyKey }) => [userId, idempotencyKey]),
  );
  return rows.map((row) => ({ id: row.id, userId: row.user_id, idempotencyKey: row.idempotency_key, requestHash: row.request_hash }));
}

export interface NewRent {
  userId: number;
  idempotencyKey: string | null;
  requestHash: string;
}

/**
 * Inserts rents and returns their ids in the order of `rents`. Throws ER_DUP_ENTRY on `rents_idempotency` when a key was used meanwhile.
 */
export async function insertRents(tx: Tx, rents: NewRent[]): Promise<number[]> {
  const rows = await selectRows<{ id: number }>(
    tx,
    `INSERT INTO rents (user_id, idempotency_key, request_hash) VALUES ${rowsOf(rents, '(?, ?, ?)')} RETURNING id`,
    rents.flatMap(({ userId, idempotencyKey, requestHash }) => [userId, idempotencyKey, requestHash]),
  );
  return rows.map(({ id }) => id);
}

export interface NewLease {
  rentId: Id;
  userId: number;
  nodeId: number;
  durationSeconds: number;
  requirements: LeaseRequirements;
  publicKeys: string[];
  passwordHash: string | null;
}

/**
 * Inserts leases and returns them in the order of `leases`. I1: throws ER_DUP_ENTRY on `leases_occupied_node` when a node is occupied. The
 * database's clock determines the ends.
 */
export async function insertLeases(tx: Tx, leases: NewLease[]): Promise<Lease[]> {
  const rows = await selectRows<NewLeaseRow>(
    tx,
    `INSERT INTO leases (rent_id, user_id, state, occupied_node_id, requirements, public_keys, password_hash, created_at, ends_at)
     VALUES ${rowsOf(leases, `(?, ?, '${LEASE_MOVES.rent.to}', ?, ?, ?, ?, UTC_TIMESTAMP(3), ${IN_SECONDS})`)}
     RETURNING id, rent_id, created_at, ends_at`,
    leases.flatMap(({ rentId, userId, nodeId, requirements, publicKeys, passwordHash, durationSeconds }) => [
      rentId,
      userId,
      nodeId,
      JSON.stringify(requirements),
      JSON.stringify(publicKeys),
      passwordHash,
      durationSeconds,
    ]),
  );
  return zip(leases, rows).map(([lease, row]) => toNewLease(lease, row));
}

interface NewLeaseRow {
  id: number;
  rent_id: number;
  created_at: Date;
  ends_at: Date;
}

/** Lists the fields without a spread: thousands of leases are made each second, and this takes a fifth of the memory. */
const toNewLease = ({ userId, nodeId, durationSeconds, requirements, publicKeys, passwordHash }: NewLease, row: NewLeaseRow): Lease => ({
  id: row.id,
  rentId: row.rent_id,
  userId,
  state: LEASE_MOVES.rent.to,
  generation: 1,
  occupiedNodeId: nodeId,
  requirements,
  publicKeys,
  passwordHash,
  createdAt: row.created_at,
  endsAt: row.ends_at,
  remainingSeconds: durationSeconds,
  migratingSeconds: null,
  waitingSince: null,
  activatedAt: null,
  endedAt: null,
  endReason: null,
});
