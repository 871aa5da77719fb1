import { isDuplicate, type Tx, transaction } from '../db/transaction';
import { OrionError } from '../lib/errors';
import { sha256 } from '../lib/ids';
import { actorOf, generateAccountPassword, lockUser, type User } from '../modules/accounts';
import { recordEvent } from '../modules/audit';
import { insertCheckpoint } from '../modules/checkpoints';
import {
  checkTerm, type ClaimedPlacement, countRunningLeases, findRentByKey, insertLease, insertPlacement, insertRent, isRunning, listLeasesOfRent,
} from '../modules/leases';
import { claimFreeNodes, couldEverSatisfy, type ClaimedNode, findNextEnd, occupyNode, type Requirements } from '../modules/nodes';
import type { WorkContext } from './context';
import { runPlacement } from './run-placement';
import { reached } from './steps';
import { type LeaseView, viewLeases } from './view-lease';
import { isBusy, NodesBusyError, whenFree } from './when-free';

export interface RentRequest {
  /** Whose leases they become. */
  user: User;
  /** Who asks: the user, or an admin for the user. */
  requestedBy: User;
  durationSeconds: number;
  count: number;
  requirements: Requirements;
  /** Validated OpenSSH public keys; empty only together with `withPassword`. */
  publicKeys: string[];
  /** The one key that the request itself carried, or null: then they are the account's, which may change before the request is repeated. */
  keyInRequest: string | null;
  withPassword: boolean;
  /** Whether the home is saved while the lease runs, where checkpoints are on. */
  checkpoint: boolean;
  /** With it, repeating the request is safe: it stands for at most one rent of this user (I3). */
  idempotencyKey: string | null;
}

export interface RentOutcome {
  leases: LeaseView[];
  /** Shown this once; null when none was asked for or the rent is a repetition. */
  password: string | null;
  replayed: boolean;
  /** False: some account is still being made; the schedulers finish it. */
  complete: boolean;
}

export interface Reservation {
  rentId: number;
  placements: ClaimedPlacement[];
  replayed: boolean;
}

/** Told outside the transaction: what the caller can wait for is looked up on a connection of its own, and a transaction that waits for a second connection starves the pool. */
class NothingFreeError extends Error {}

/**
 * Rents `count` nodes, all or nothing: commits lease, node and placement first, then makes the accounts present, then answers. Were this process
 * to die in between, a scheduler finishes; the client repeats with its key and gets the same leases.
 *
 * Throws no_node_free (with Retry-After), quota_exceeded, duration_too_long, idempotency_key_reused, provisioning_failed.
 */
export async function rentNodes(ctx: WorkContext, request: RentRequest): Promise<RentOutcome> {
  reached('rent.begin');
  const secret = request.withPassword ? await generateAccountPassword() : null;
  const reservation = await reserveWithPatience(ctx, request, secret?.hash ?? null);
  reached('rent.reserved');
  const work = Promise.all(reservation.placements.map((placement) => runPlacement(ctx, placement)));
  work.catch((error: unknown) => ctx.logger.error('a rent was left to the schedulers', { rentId: reservation.rentId, error }));
  const leases = await waitForAccounts(ctx, reservation.rentId, work);
  reached('rent.answering');
  if (leases.some(({ lease }) => lease.state === 'failed')) {
    throw new OrionError('provisioning_failed', 'No account could be made on the nodes that were free, and nothing was leased. Try again with a new Idempotency-Key.', { retryAfterSeconds: 10 });
  }
  return {
    leases,
    password: reservation.replayed ? null : (secret?.password ?? null),
    replayed: reservation.replayed,
    complete: leases.every(({ lease }) => lease.state !== 'provisioning'),
  };
}

/** Two requests with one key at once: the second finds the first one's rent when it looks again. */
const looksAgain = (error: unknown): boolean => isBusy(error) || isDuplicate(error, 'rents_idempotency') || isDuplicate(error, 'leases_occupied_node');

/** The part in the database, whole: commits the rent with its leases and placements, all claimed by the caller, or throws and has done nothing. */
export async function reserveWithPatience(ctx: WorkContext, request: RentRequest, passwordHash: string | null): Promise<Reservation> {
  try {
    return await whenFree(ctx, () => transaction(ctx.db, (tx) => reserve(tx, ctx, { ...request, passwordHash })), looksAgain);
  } catch (error) {
    throw error instanceof NothingFreeError || looksAgain(error) ? await nothingFree(ctx, request) : error;
  }
}

async function reserve(tx: Tx, ctx: WorkContext, request: RentRequest & { passwordHash: string | null }): Promise<Reservation> {
  const user = await lockUser(tx, request.user.id);
  if (!user) {
    throw new OrionError('not_found', 'There is no such user.');
  }
  const requestHash = hashOf(request);
  const known = request.idempotencyKey === null ? undefined : await findRentByKey(tx, user.id, request.idempotencyKey);
  if (known) {
    if (known.requestHash !== requestHash) {
      throw new OrionError('idempotency_key_reused', 'This Idempotency-Key stands for a different rent. Use a new key for a new rent.');
    }
    return { rentId: known.id, placements: [], replayed: true };
  }
  checkTerm(request.durationSeconds, user);
  await checkQuota(tx, user, request.count);
  const free = await claimFreeNodes(tx, request.requirements, request.count);
  if (free.found === 'busy') {
    throw new NodesBusyError();
  }
  if (free.found === 'too_few') {
    throw new NothingFreeError();
  }
  const rentId = await insertRent(tx, { userId: user.id, idempotencyKey: request.idempotencyKey, requestHash });
  const placements: ClaimedPlacement[] = [];
  for (const node of free.nodes) {
    placements.push(await leaseNode(tx, { ctx, request, rentId, node }));
  }
  reached('rent.commit');
  return { rentId, placements, replayed: false };
}

async function checkQuota(tx: Tx, user: User, count: number): Promise<void> {
  const running = await countRunningLeases(tx, user.id);
  if (running + count > user.maxLeases) {
    throw new OrionError('quota_exceeded', `This account may hold ${user.maxLeases} leases at a time and holds ${running}. Release one, or ask an operator for a higher limit.`, {
      details: { max_leases: user.maxLeases, running },
    });
  }
}

interface NodeToLease {
  ctx: WorkContext;
  request: RentRequest & { passwordHash: string | null };
  rentId: number;
  node: ClaimedNode;
}

async function leaseNode(tx: Tx, { ctx, request, rentId, node }: NodeToLease): Promise<ClaimedPlacement> {
  const { requirements, publicKeys, passwordHash, durationSeconds } = request;
  const leaseId = await insertLease(tx, { rentId, userId: request.user.id, nodeId: node.id, durationSeconds, requirements, publicKeys, passwordHash });
  await occupyNode(tx, node.id, leaseId);
  if (ctx.settings.checkpoints) {
    await insertCheckpoint(tx, { leaseId, enabled: request.checkpoint, seconds: ctx.settings.checkpoints.intervalSeconds });
  }
  await recordEvent(tx, {
    type: 'lease.requested',
    actor: actorOf(request.requestedBy),
    leaseId,
    nodeId: node.id,
    userId: request.user.id,
    data: { duration_seconds: durationSeconds },
  });
  return insertPlacement(tx, { leaseId, nodeId: node.id, generation: 1, uid: node.nextUid, claimSeconds: ctx.settings.claimSeconds });
}

function hashOf({ durationSeconds, count, requirements, keyInRequest, withPassword, checkpoint }: RentRequest): string {
  const labels = Object.entries(requirements.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return sha256(JSON.stringify([durationSeconds, count, requirements.cpus, requirements.memoryMb, labels, keyInRequest, withPassword, ...(checkpoint ? [] : [checkpoint])]));
}

async function nothingFree(ctx: WorkContext, { requirements, count }: RentRequest): Promise<OrionError> {
  const [possible, { nextEndAt, retryAfterSeconds }] = await Promise.all([couldEverSatisfy(ctx.db, requirements, count), findNextEnd(ctx.db)]);
  const why = possible ? 'All nodes that fit are in use.' : 'No enrolled machine, or not enough of them, offers what is asked for: ask for less, or enrol more.';
  const when = nextEndAt ? ` The next lease ends at ${nextEndAt.toISOString()}.` : '';
  return new OrionError('no_node_free', `${why}${when} Nothing was leased; try again later.`, {
    retryAfterSeconds,
    details: { next_lease_ends_at: nextEndAt?.toISOString() ?? null, could_be_satisfied: possible },
  });
}

const POLL_MS = 200;

/** Waits until no lease of the rent is being provisioned, or until the caller has waited long enough. */
async function waitForAccounts(ctx: WorkContext, rentId: number, work: Promise<unknown>): Promise<LeaseView[]> {
  const deadline = ctx.clock.monotonicMs() + ctx.settings.rentWaitSeconds * 1000;
  const waiting = new AbortController();
  await Promise.race([work.catch(() => undefined), ctx.clock.sleep(ctx.settings.rentWaitSeconds * 1000, waiting.signal)]);
  waiting.abort();
  for (;;) {
    const leases = await listLeasesOfRent(ctx.db, rentId);
    const pending = leases.some(({ state }) => isRunning(state) && state === 'provisioning');
    if (!pending || ctx.clock.monotonicMs() >= deadline) {
      return viewLeases(ctx.db, leases);
    }
    await ctx.clock.sleep(POLL_MS);
  }
}
