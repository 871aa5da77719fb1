import { execute, type Id, IN_SECONDS, marks, rowsOf, selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import { claimDue, renewClaim, type WorkQueue } from '../../../db/work-queue';
import { newClaimToken, randomName } from '../../../lib/ids';
import { type Cause, causeOf } from '../../../lib/origin';
import { zip } from '../../../lib/zip';
import { PLACEMENT_MOVES, placementState } from '../moves';
import type { ClaimedPlacement, Placement, PlacementState } from '../types';

interface PlacementRow {
  id: number;
  lease_id: number;
  node_id: number;
  generation: number;
  current_lease_id: number | null;
  state: PlacementState;
  username: string;
  uid: number;
  attempts: number;
  access_wanted: number;
  last_error: string | null;
  created_at: Date;
  present_at: Date | null;
  wiped_at: Date | null;
  traceparent: string | null;
  request_id: string | null;
}

const COLUMNS = `id, lease_id, node_id, generation, current_lease_id, state, username, uid, attempts, access_wanted, last_error, created_at, present_at,
  wiped_at, traceparent, request_id`;

const toPlacement = (row: PlacementRow): Placement => ({
  id: row.id,
  leaseId: row.lease_id,
  nodeId: row.node_id,
  generation: row.generation,
  current: row.current_lease_id !== null,
  state: row.state,
  username: row.username,
  uid: row.uid,
  attempts: row.attempts,
  lastError: row.last_error,
  createdAt: row.created_at,
  presentAt: row.present_at,
  wipedAt: row.wiped_at,
});

export async function listPlacementsOfLease(db: Db, leaseId: number): Promise<Placement[]> {
  return (await selectRows<PlacementRow>(db, `SELECT ${COLUMNS} FROM placements WHERE lease_id = ? ORDER BY generation`, [leaseId])).map(
    toPlacement,
  );
}

export async function listCurrentPlacements(db: Db, leaseIds: number[]): Promise<Placement[]> {
  if (leaseIds.length === 0) {
    return [];
  }
  const rows = await selectRows<PlacementRow>(
    db,
    `SELECT ${COLUMNS} FROM placements WHERE current_lease_id IN (${marks(leaseIds)})`,
    leaseIds,
  );
  return rows.map(toPlacement);
}

/** Lists accounts that must be removed from the node and are not known to be gone. */
export async function listPlacementsToWipe(db: Db, nodeId: number): Promise<Placement[]> {
  return (await selectRows<PlacementRow>(db, `SELECT ${COLUMNS} FROM placements WHERE node_id = ? AND state = 'wiping'`, [nodeId])).map(
    toPlacement,
  );
}

/**
 * Lists the current account of the node with its remaining time, for the answer to a heartbeat. The agent uses the time for self-fencing:
 * it ends the account by itself if the control plane does not answer after the end.
 */
export async function listAccountsOnNode(db: Db, nodeId: number): Promise<{ username: string; remainingSeconds: number }[]> {
  const rows = await selectRows<{ username: string; remaining: string | number }>(
    db,
    `SELECT p.username, GREATEST(0, TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), l.ends_at) / 1000000) AS remaining
       FROM placements p JOIN leases l ON l.id = p.current_lease_id WHERE p.node_id = ?`,
    [nodeId],
  );
  return rows.map(({ username, remaining }) => ({ username, remainingSeconds: Number(remaining) }));
}

export interface LocalEnd {
  nodeId: number;
  username: string;
  /** Seconds until the end of the account, by the node's clock. */
  endsInSeconds: number;
  toleranceSeconds: number;
}

/**
 * Finds and locks the lease of an account whose end on the node is not the applied end, because the node's clock was set since. Undefined:
 * the ends agree, the account is due or claimed anyway, or another transaction has locked it.
 */
export async function findAstray(
  tx: Tx,
  { nodeId, username, endsInSeconds, toleranceSeconds }: LocalEnd,
): Promise<{ leaseId: number; userId: number; jumpSeconds: number } | undefined> {
  const row = await selectFirst<{ lease_id: number; user_id: number; jump: string | number }>(
    tx,
    `SELECT p.lease_id, l.user_id, TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), l.ends_at) / 1000000 - ? AS jump
       FROM leases l JOIN placements p ON p.current_lease_id = l.id
      WHERE p.node_id = ? AND p.username = ? AND p.state = 'present' AND p.due_at IS NULL AND p.claim_token IS NULL AND p.applied_ends_at = l.ends_at FOR UPDATE SKIP LOCKED`,
    [endsInSeconds, nodeId, username],
  );
  const jumpSeconds = Math.round(Number(row?.jump ?? 0));
  return row && Math.abs(jumpSeconds) > toleranceSeconds ? { leaseId: row.lease_id, userId: row.user_id, jumpSeconds } : undefined;
}

const toClaimed = (row: PlacementRow, token: string): ClaimedPlacement => ({
  id: row.id,
  token,
  leaseId: row.lease_id,
  nodeId: row.node_id,
  generation: row.generation,
  username: row.username,
  uid: row.uid,
  attempts: row.attempts,
  untouched: row.present_at === null,
  state: row.state === 'present' ? 'present' : 'creating',
  accessWanted: row.access_wanted,
  cause: toCause(row),
});

const toCause = ({ traceparent, request_id: requestId }: Pick<PlacementRow, 'traceparent' | 'request_id'>): Cause => ({
  traceparent,
  requestId,
});

export interface NewPlacement {
  leaseId: Id;
  nodeId: number;
  generation: number;
  uid: number;
  /** Default: the current act. */
  cause?: Cause;
}

const NAME_LENGTH = 10;
/** The default of the column `access_wanted`. */
const FIRST_ACCESS = 1;

/**
 * Inserts the next current placements of leases and returns them in the order of `placements`. The caller works on them at once: each is
 * claimed for `claimSeconds`. I2: throws ER_DUP_ENTRY when a lease has a current placement.
 */
export async function insertPlacements(tx: Tx, placements: NewPlacement[], claimSeconds: number): Promise<ClaimedPlacement[]> {
  const made = placements.map((placement) => ({
    cause: causeOf(),
    ...placement,
    token: newClaimToken(),
    username: `orn-${randomName(NAME_LENGTH)}`,
  }));
  const rows = await selectRows<{ id: number; lease_id: number }>(
    tx,
    `INSERT INTO placements (lease_id, node_id, generation, current_lease_id, state, username, uid, due_at, claim_token, traceparent, request_id)
     VALUES ${rowsOf(made, `(?, ?, ?, ?, '${PLACEMENT_MOVES.make.to}', ?, ?, ${IN_SECONDS}, ?, ?, ?)`)} RETURNING id, lease_id`,
    made.flatMap(({ leaseId, nodeId, generation, username, uid, token, cause: { traceparent, requestId } }) => [
      leaseId,
      nodeId,
      generation,
      leaseId,
      username,
      uid,
      claimSeconds,
      token,
      traceparent,
      requestId,
    ]),
  );
  return zip(made, rows).map(([placement, row]) => ({
    ...placement,
    id: row.id,
    leaseId: row.lease_id,
    attempts: 0,
    untouched: true,
    state: PLACEMENT_MOVES.make.to,
    accessWanted: FIRST_ACCESS,
  }));
}

/** Placements that have to be made present or brought up to date. */
export const PLACEMENTS: WorkQueue = { table: 'placements', key: 'id', dueAt: 'due_at', token: 'claim_token' };

/** Claims up to `limit` placements that have to be made present or brought up to date, the longest due first. */
export async function claimDuePlacements(tx: Tx, limit: number, claimSeconds: number): Promise<ClaimedPlacement[]> {
  const { rows, token } = await claimDue<PlacementRow>(tx, PLACEMENTS, { columns: COLUMNS, limit, claimSeconds });
  return rows.map((row) => toClaimed(row, token));
}

/** Renews the claim of a placement. False: the claim was lost; stop, and change nothing. */
export const renewPlacement = (db: Db, { id, token }: ClaimedPlacement, claimSeconds: number): Promise<boolean> =>
  renewClaim(db, PLACEMENTS, { id, token, claimSeconds });

const COMPLETE = placementState.update('complete', {
  join: 'JOIN leases l ON l.id = placements.lease_id',
  set: `claim_token = NULL, attempts = 0, last_error = NULL, report = ?, present_at = COALESCE(present_at, UTC_TIMESTAMP(3)),
        applied_ends_at = ?, access_applied = ?, access_rule = ?, placements.due_at = IF(l.ends_at = ? AND access_wanted = ?, NULL, UTC_TIMESTAMP(3))`,
  where: 'placements.id = ? AND claim_token = ?',
});

/**
 * Completes the claim: the account is there, with the end `appliedEndsAt` and the keys of the claim or newer ones, under `accessRule`. If
 * the lease was extended or the keys changed meanwhile, the placement stays due, to be brought up to date. False: the claim was lost;
 * nothing changed.
 */
export async function completePlacement(
  tx: Tx,
  { id, token, accessWanted }: ClaimedPlacement,
  outcome: { appliedEndsAt: Date; accessRule: string; report: unknown },
): Promise<boolean> {
  const bindings = [
    JSON.stringify(outcome.report),
    outcome.appliedEndsAt,
    accessWanted,
    outcome.accessRule,
    outcome.appliedEndsAt,
    accessWanted,
    id,
    token,
  ];
  return (await execute(tx, COMPLETE, bindings)) === 1;
}

/** Fails the claim: the same node is tried again after `retrySeconds`. False: the claim was lost. */
export async function failPlacement(
  tx: Tx,
  { id, token }: ClaimedPlacement,
  failure: { message: string; retrySeconds: number },
): Promise<boolean> {
  const changed = await execute(
    tx,
    `UPDATE placements SET attempts = attempts + 1, last_error = ?, claim_token = NULL, due_at = ${IN_SECONDS} WHERE id = ? AND claim_token = ?`,
    [failure.message.slice(0, 1000), failure.retrySeconds, id, token],
  );
  return changed === 1;
}

/** Claims a failed placement again at once, after the same transaction has failed its claim. */
export async function reclaimPlacement(tx: Tx, placement: ClaimedPlacement, claimSeconds: number): Promise<ClaimedPlacement> {
  const token = newClaimToken();
  await execute(tx, `UPDATE placements SET claim_token = ?, due_at = ${IN_SECONDS} WHERE id = ?`, [token, claimSeconds, placement.id]);
  return { ...placement, token, attempts: placement.attempts + 1 };
}

/**
 * Gives another uid to a placement whose account was never there, and claims the placement again at once. Undefined: the claim was lost;
 * nothing changed.
 */
export async function renumberPlacement(
  tx: Tx,
  placement: ClaimedPlacement,
  { uid, claimSeconds }: { uid: number; claimSeconds: number },
): Promise<ClaimedPlacement | undefined> {
  const token = newClaimToken();
  const changed = await execute(
    tx,
    `UPDATE placements SET uid = ?, claim_token = ?, due_at = ${IN_SECONDS} WHERE id = ? AND claim_token = ? AND state = 'creating' AND present_at IS NULL`,
    [uid, token, claimSeconds, placement.id, placement.token],
  );
  return changed === 1 ? { ...placement, uid, token, refusedUids: (placement.refusedUids ?? 0) + 1 } : undefined;
}

/**
 * Makes the lease's account due, so that a scheduler brings it up to date, on the order of the current act. It changes no claimed
 * placement, because completing that claim compares the end and the keys again.
 */
export async function refreshPlacement(tx: Tx, leaseId: number): Promise<void> {
  const { traceparent, requestId } = causeOf();
  const sql =
    'UPDATE placements SET due_at = UTC_TIMESTAMP(3), traceparent = ?, request_id = ? WHERE current_lease_id = ? AND claim_token IS NULL';
  await execute(tx, sql, [traceparent, requestId, leaseId]);
}

/** Takes the current placement off the queue, because its node is lost and cannot be reached. Any claim on it ends. */
export async function parkPlacement(tx: Tx, leaseId: number): Promise<void> {
  await execute(tx, 'UPDATE placements SET due_at = NULL, claim_token = NULL WHERE current_lease_id = ?', [leaseId]);
}

const RESUME = placementState.update('resume', {
  set: 'due_at = UTC_TIMESTAMP(3), claim_token = NULL, attempts = 0, traceparent = ?, request_id = ?',
  where: 'current_lease_id = ?',
});

/**
 * Makes the current placement due on its old node, which came back before a new one was found. A scheduler then makes sure that the account
 * is there.
 */
export async function resumePlacement(tx: Tx, leaseId: number): Promise<void> {
  const { traceparent, requestId } = causeOf();
  await execute(tx, RESUME, [traceparent, requestId, leaseId]);
}

/** Writes the current act to the current placement as the cause of the work on its lease. */
export async function noteCause(tx: Tx, leaseId: number): Promise<void> {
  const { traceparent, requestId } = causeOf();
  await execute(tx, 'UPDATE placements SET traceparent = ?, request_id = ? WHERE current_lease_id = ?', [traceparent, requestId, leaseId]);
}

/** Returns the act that last ordered work on the lease: the rent, or what came after it. */
export async function findCause(db: Db, leaseId: number): Promise<Cause> {
  const row = await selectFirst<PlacementRow>(db, 'SELECT traceparent, request_id FROM placements WHERE current_lease_id = ?', [leaseId]);
  return row ? toCause(row) : causeOf(null);
}

const RETIRE = placementState.update('retire', {
  set: 'current_lease_id = NULL, due_at = NULL, claim_token = NULL',
  where: 'current_lease_id = ?',
});

/** Marks the current placement of the lease for its wipe. It is no longer current, and any claim on it ends. */
export async function retirePlacement(tx: Tx, leaseId: number): Promise<void> {
  await execute(tx, RETIRE, [leaseId]);
}

const WIPE = placementState.update('wipe', { set: 'wiped_at = UTC_TIMESTAMP(3), report = ?, last_error = NULL', where: 'id IN (#)' });

/** Marks these placements as wiped after a verified wipe. */
export async function markPlacementsWiped(tx: Tx, ids: number[], report: unknown): Promise<void> {
  if (ids.length > 0) {
    await execute(tx, WIPE.replace('#', marks(ids)), [JSON.stringify(report), ...ids]);
  }
}
