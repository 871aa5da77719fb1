import { type Batch, isDuplicate, type Transaction, transaction, type Tx } from '../../db/transaction';
import { messageOf, OrionError } from '../../lib/errors';
import { createBatcher } from '../../lib/batcher';
import { causeOf, currentOrigin } from '../../lib/origin';
import { inSpan, inTrace } from '../../lib/trace';
import { lockUsers } from '../../modules/accounts';
import { countRunningLeases, findRentsByKeys } from '../../modules/leases';
import { countFreeNodes } from '../../modules/nodes';
import { withKeysOfNow } from '../accounts/admitted-keys';
import type { FlowContext } from '../support/context';
import { decideBatch, nameOfKey, type Standing, type Take, type Decision, wishesOf } from './decide-batch';
import { createPools, nameOf, type Pools, sumUp } from './free-pools';
import { leaseNodes } from './lease-nodes';
import { noNodeFree } from './no-node-free';
import type { Reservation, SecretRequest } from './rent-request';
import { isBusy, NodesBusyError, whenFree } from '../support/when-free';

export type Reserve = (request: SecretRequest) => Promise<Reservation>;

/** One transaction claims at most this many nodes, except for a single request that wants more. */
const BATCH_MAX = 64;
/** Two transactions run at a time: this process prepares one while the database works on the other. */
const BATCHES_AT_ONCE = 2;
/** Several times the duration of a batch. A running batch that takes longer is probably stuck, so the next one starts beside it. */
const PATIENCE_MS = 50;

/** Too few nodes are free. */
class NothingFreeError extends Error {}

/** The batch failed before its COMMIT, so the database has nothing of it. Each of its requests is tried again in a batch of its own. */
class BatchFailedError extends Error {}

/**
 * Whether another attempt may succeed. Of two concurrent requests with one key, the second finds the rent of the first when it tries again.
 */
const looksAgain = (error: unknown): boolean =>
  isBusy(error) || isDuplicate(error, 'rents_idempotency') || isDuplicate(error, 'leases_occupied_node');

/**
 * Group commit. Requests of this process that arrive while two transactions run share the next one (docs/adr/0018-grouped-claims.md).
 *
 * A request is tried again in a batch of one, which waits for the row of its user, in two cases: its batch failed, or other transactions
 * held its user's row or its nodes for a second. The returned function commits the rent with its leases and placements, all claimed by
 * this process. If it throws, the database is unchanged.
 */
export function createReserve(ctx: FlowContext, { batchMax = BATCH_MAX }: { batchMax?: number } = {}): Reserve {
  const pools = createPools(ctx.clock);
  const batcher = createBatcher<SecretRequest, Reservation>({
    max: batchMax,
    weightOf: ({ count }) => count,
    lanes: { count: BATCHES_AT_ONCE, patienceMs: PATIENCE_MS, clock: ctx.clock },
    ownerOf: ({ user }) => user.id,
    work: (requests) => {
      ctx.metrics.batchItems.observe({ batch: 'rents' }, requests.length);
      return inTrace('reserve-batch', { causes: requests.map(({ origin }) => causeOf(origin)) }, () => runBatch(ctx, { pools, requests }));
    },
  });
  const reserve = async (request: SecretRequest): Promise<Reservation> => {
    try {
      return await whenFree(ctx, () => batcher.add(request));
    } catch (error) {
      if (error instanceof BatchFailedError || isBusy(error)) {
        return reserveAlone(ctx, request, pools);
      }
      throw error;
    }
  };
  return (request) =>
    inSpan('reserve', () => reserve({ origin: currentOrigin(), ...request })).catch(async (error: unknown) => {
      throw error instanceof NothingFreeError || looksAgain(error) ? await noNodeFree(ctx, request) : error;
    });
}

/**
 * Reserves for one request in a transaction of its own, which waits for the row of its user. Throws the errors of `Reserve`, except that it
 * throws NothingFreeError when too few nodes are free.
 */
export function reserveAlone(ctx: FlowContext, request: SecretRequest, pools = createPools(ctx.clock)): Promise<Reservation> {
  const attempt = async (tx: Transaction): Promise<Reservation> => {
    const [result] = await reserveAll(tx, ctx, { pools, requests: [request], waits: true });
    if (result?.status !== 'fulfilled') {
      throw result?.reason ?? new Error('a request without a result');
    }
    return result.value;
  };
  return whenFree(ctx, () => transaction(ctx.db, attempt), looksAgain);
}

interface RentBatch {
  pools: Pools;
  requests: SecretRequest[];
  /** Whether the transaction waits for rows of users that other transactions have locked. */
  waits?: boolean;
}

/**
 * Reserves for a batch. If the connection is lost during COMMIT, the outcome is unknown: every request fails with `unavailable`, and
 * clients repeat with their idempotency keys. If the server refuses COMMIT, nothing was done. After a COMMIT that succeeded no request is
 * tried again.
 */
async function runBatch(ctx: FlowContext, rents: RentBatch): Promise<PromiseSettledResult<Reservation>[]> {
  let last: Transaction | undefined;
  try {
    return await transaction(ctx.db, (tx) => reserveAll((last = tx), ctx, rents));
  } catch (error) {
    if (last?.isCommitted || (last?.isCommitting && error instanceof OrionError)) {
      throw error;
    }
    ctx.logger.warn('rent batch failed, each rent is tried again alone', { rents: rents.requests.length, reason: messageOf(error) });
    throw new BatchFailedError('the batch failed', { cause: error });
  }
}

async function reserveAll(
  tx: Transaction,
  ctx: FlowContext,
  { pools, requests: asked, waits = false }: RentBatch,
): Promise<PromiseSettledResult<Reservation>[]> {
  const [standing, take] = await readAndLock(tx, { pools, requests: asked, waits });
  const requests = await tx.batch((batch) =>
    Promise.all(asked.map((request) => withKeysOfNow(batch, request, standing.users.get(request.user.id)))),
  );
  const { decisions, granted } = await decideBatch(requests, standing, take);
  const short = requests.filter((_, at) => decisions[at] === 'short');
  const reservations = granted.length > 0 ? await leaseNodes(tx, ctx, { granted, isLast: short.length === 0 }) : [];
  const isBusy = await findOutWhoIsBusy(tx, short);
  return requests.map((request, at) => resultOf(decisions[at] ?? 'short', reservations, () => isBusy(request)));
}

/**
 * Reads the users, keys and running leases of the requests, and locks nodes for all requests. When each request wants one node, one round
 * trip does both: a refused request then locks one node for about a millisecond. Otherwise the nodes are locked after the decision which
 * requests may have any, because a refused request would keep many nodes from the others.
 */
async function readAndLock(tx: Transaction, { pools, requests, waits }: Required<RentBatch>): Promise<[Standing, Take]> {
  if (requests.every(({ count }) => count === 1)) {
    const [standing, fill] = await tx.batch((batch) => Promise.all([readStanding(batch, requests, waits), pools.look(batch, requests)]));
    return [standing, await fill(tx)];
  }
  const standing = await tx.batch((batch) => readStanding(batch, requests, waits));
  const fill = await tx.batch((batch) => pools.look(batch, wishesOf(requests, standing)));
  return [standing, await fill(tx)];
}

async function readStanding(batch: Batch, requests: SecretRequest[], waits: boolean): Promise<Standing> {
  const ids = [...new Set(requests.map(({ user }) => user.id))];
  const keys = requests.flatMap(({ user, idempotencyKey }) => (idempotencyKey === null ? [] : [{ userId: user.id, idempotencyKey }]));
  const [users, rents, running] = await Promise.all([
    lockUsers(batch, ids, { waits }),
    findRentsByKeys(batch, keys),
    countRunningLeases(batch, ids),
  ]);
  return {
    users: new Map(users.map((user) => [user.id, user])),
    rents: new Map(rents.map((rent) => [nameOfKey(rent), rent])),
    running,
    missing: waits ? 'gone' : 'busy',
  };
}

/** Returns, for requests that got too few nodes, whether enough nodes exist that other transactions are claiming at this moment. */
async function findOutWhoIsBusy(tx: Tx, requests: SecretRequest[]): Promise<(request: SecretRequest) => boolean> {
  const free = new Map<string, number>();
  for (const [name, { requirements, count }] of sumUp(requests)) {
    free.set(name, await countFreeNodes(tx, requirements, count));
  }
  return ({ requirements, count }) => (free.get(nameOf(requirements)) ?? 0) >= count;
}

function resultOf(decision: Decision, reservations: Reservation[], isBusy: () => boolean): PromiseSettledResult<Reservation> {
  if (decision === 'short') {
    return { status: 'rejected', reason: isBusy() ? new NodesBusyError() : new NothingFreeError() };
  }
  if ('error' in decision) {
    return { status: 'rejected', reason: decision.error };
  }
  if ('known' in decision) {
    return { status: 'fulfilled', value: decision.known };
  }
  const value = reservations['granted' in decision ? decision.granted : decision.repeats];
  if (!value) {
    throw new Error('a request was granted and not leased');
  }
  return { status: 'fulfilled', value: 'granted' in decision ? value : { ...value, reserved: [], replayed: true } };
}
