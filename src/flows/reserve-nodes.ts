import { isDuplicate, type Tx, transaction } from '../db/transaction';
import { OrionError } from '../lib/errors';
import { lockUser } from '../modules/accounts';
import { checkTerm, countRunningLeases, findRentByKey } from '../modules/leases';
import { claimFreeNodes, couldEverSatisfy, findNextEnd } from '../modules/nodes';
import { withKeysOfNow } from './admitted-keys';
import type { FlowContext } from './context';
import { leaseNodes } from './lease-nodes';
import { checkQuota, noSuchUser, refuseDisabled, replay, type RentRequest, type Reservation, type SecretRequest } from './rent-request';
import { isBusy, NodesBusyError, whenFree } from './when-free';

/** Told outside the transaction: what the caller can wait for is looked up on a connection of its own, and a transaction that waits for a second connection starves the pool. */
export class NothingFreeError extends Error {}

/** Two requests with one key at once: the second finds the first one's rent when it looks again. */
const looksAgain = (error: unknown): boolean => isBusy(error) || isDuplicate(error, 'rents_idempotency') || isDuplicate(error, 'leases_occupied_node');

/**
 * The part of a rent in the database, in a transaction of its own: commits the rent with its leases and placements, all claimed by the caller, or
 * throws and has done nothing.
 */
export async function reserveNodes(ctx: FlowContext, request: SecretRequest): Promise<Reservation> {
  try {
    return await whenFree(ctx, () => transaction(ctx.db, (tx) => reserve(tx, ctx, request)), looksAgain);
  } catch (error) {
    throw error instanceof NothingFreeError || looksAgain(error) ? await nothingFree(ctx, request) : error;
  }
}

async function reserve(tx: Tx, ctx: FlowContext, request: SecretRequest): Promise<Reservation> {
  const [user, known, running] = await Promise.all([
    lockUser(tx, request.user.id),
    request.idempotencyKey === null ? undefined : findRentByKey(tx, request.user.id, request.idempotencyKey),
    countRunningLeases(tx, request.user.id),
  ]);
  if (!user) {
    throw noSuchUser();
  }
  if (known) {
    return replay(request, known);
  }
  refuseDisabled(user);
  checkTerm(request.durationSeconds, user);
  checkQuota(user, running, request.count);
  const free = await claimFreeNodes(tx, request.requirements, request.count);
  if (free.found === 'enough') {
    return (await leaseNodes(tx, ctx, { granted: [{ request: await withKeysOfNow(tx, request, user), nodes: free.nodes }] }))[0] ?? neverLeased();
  }
  throw free.found === 'too_few' ? new NothingFreeError() : new NodesBusyError();
}

function neverLeased(): never {
  throw new Error('a request was granted and not leased');
}

/** What the client is told when there is no node for it. */
export async function nothingFree(ctx: FlowContext, { requirements, count }: RentRequest): Promise<OrionError> {
  const [possible, { nextEndAt, retryAfterSeconds }] = await Promise.all([couldEverSatisfy(ctx.db, requirements, count), findNextEnd(ctx.db)]);
  const why = possible ? 'All nodes that fit are in use.' : 'No enrolled machine, or not enough of them, offers what is asked for: ask for less, or enrol more.';
  const when = nextEndAt ? ` The next lease ends at ${nextEndAt.toISOString()}.` : '';
  return new OrionError('no_node_free', `${why}${when} Nothing was leased; try again later.`, {
    retryAfterSeconds,
    details: { next_lease_ends_at: nextEndAt?.toISOString() ?? null, could_be_satisfied: possible },
  });
}
