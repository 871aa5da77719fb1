import { execute, type Id, IN_SECONDS, rowsOf, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import { newClaimToken, randomName } from '../../../lib/ids';
import { zip } from '../../../lib/zip';
import { LEASE_MOVES, PLACEMENT_MOVES } from '../moves';
import type { ClaimedPlacement, Lease, LeaseRequirements } from '../types';

export interface Rent {
  id: number;
  requestHash: string;
}

/** A key, and whose: the same word of two users is two keys. */
export interface RentKey {
  userId: number;
  idempotencyKey: string;
}

/** Those of these keys that were used before. */
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

/** Gives their ids, in their order. Throws ER_DUP_ENTRY on `rents_idempotency` when a key was used meanwhile. */
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

/** Gives them in their order. I1: throws ER_DUP_ENTRY on `leases_occupied_node` when a node is occupied. The ends are computed by the database's clock. */
export async function insertLeases(tx: Tx, leases: NewLease[]): Promise<Lease[]> {
  const rows = await selectRows<NewLeaseRow>(
    tx,
    `INSERT INTO leases (rent_id, user_id, state, occupied_node_id, requirements, public_keys, password_hash, created_at, ends_at)
     VALUES ${rowsOf(leases, `(?, ?, '${LEASE_MOVES.rent.to}', ?, ?, ?, ?, UTC_TIMESTAMP(3), ${IN_SECONDS})`)}
     RETURNING id, rent_id, created_at, ends_at`,
    leases.flatMap(({ rentId, userId, nodeId, requirements, publicKeys, passwordHash, durationSeconds }) => [
      rentId, userId, nodeId, JSON.stringify(requirements), JSON.stringify(publicKeys), passwordHash, durationSeconds,
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

/** Written out, without a spread: thousands a second are made, and this takes a fifth of the memory. */
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

export interface NewPlacement {
  leaseId: Id;
  nodeId: number;
  generation: number;
  uid: number;
}

const NAME_LENGTH = 10;
/** The default of the column `access_wanted`. */
const FIRST_ACCESS = 1;

/**
 * The next current placements of leases, in their order; the caller works on them at once and holds them for `claimSeconds`. I2: throws ER_DUP_ENTRY
 * when a lease has a current one.
 */
export async function insertPlacements(tx: Tx, placements: NewPlacement[], claimSeconds: number): Promise<ClaimedPlacement[]> {
  const made = placements.map(({ leaseId, nodeId, generation, uid }) => ({ leaseId, nodeId, generation, uid, token: newClaimToken(), username: `orn-${randomName(NAME_LENGTH)}` }));
  const rows = await selectRows<{ id: number; lease_id: number }>(
    tx,
    `INSERT INTO placements (lease_id, node_id, generation, current_lease_id, state, username, uid, due_at, claim_token)
     VALUES ${rowsOf(made, `(?, ?, ?, ?, '${PLACEMENT_MOVES.make.to}', ?, ?, ${IN_SECONDS}, ?)`)} RETURNING id, lease_id`,
    made.flatMap(({ leaseId, nodeId, generation, username, uid, token }) => [leaseId, nodeId, generation, leaseId, username, uid, claimSeconds, token]),
  );
  return zip(made, rows).map(([placement, row]) => ({
    ...placement, id: row.id, leaseId: row.lease_id, attempts: 0, untouched: true, state: PLACEMENT_MOVES.make.to, accessWanted: FIRST_ACCESS,
  }));
}

/** Puts the new placement's node and generation on its lease. */
export async function relocateLease(tx: Tx, leaseId: number, nodeId: number): Promise<void> {
  await execute(
    tx,
    'UPDATE leases SET occupied_node_id = ?, generation = generation + 1, due_at = NULL, waiting_since = NULL WHERE id = ?',
    [nodeId, leaseId],
  );
}
