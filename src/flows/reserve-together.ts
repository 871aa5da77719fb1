import { type Tx, transaction } from '../db/transaction';
import { messageOf, OrionError } from '../lib/errors';
import { createGrouping } from '../lib/grouping';
import { lockUsers } from '../modules/accounts';
import { countRunningLeasesOf, findRentsByKeys } from '../modules/leases';
import { listFreeNodeIds } from '../modules/nodes';
import { withKeysOfNow } from './admitted-keys';
import type { FlowContext } from './context';
import { decideGroup, nameOfKey, type Standing, type Take, type Verdict, wishesOf } from './decide-group';
import { createPools, nameOf, type Pools, sumUp } from './free-pools';
import { leaseNodes } from './lease-nodes';
import type { Reservation, SecretRequest } from './rent-request';
import { nothingFree, NothingFreeError, reserveNodes } from './reserve-nodes';
import { isBusy, NodesBusyError, whenFree } from './when-free';

export type Reserve = (request: SecretRequest) => Promise<Reservation>;

/** Two: this process prepares the one while the database is at work on the other. */
const GROUPS_AT_ONCE = 2;
/** Several times what a group takes: longer, and the one under way stands still. */
const PATIENCE_MS = 50;

/** The group failed before its COMMIT: nothing of it is in the database, and each of its callers goes its own way. */
class GroupFailedError extends Error {}

/**
 * Reserves for all callers of this process: those that come while two transactions are under way share the next one (see docs/adr/0018). To a caller
 * it is `reserveNodes`. With a `rentGroupMax` of 1 it is that indeed.
 */
export function createReserve(ctx: FlowContext): Reserve {
  if (ctx.settings.rentGroupMax === 1) {
    return (request) => reserveNodes(ctx, request);
  }
  const pools = createPools(ctx.clock);
  const groups = createGrouping<SecretRequest, Reservation>({
    max: ctx.settings.rentGroupMax,
    weightOf: ({ count }) => count,
    lanes: { count: GROUPS_AT_ONCE, patienceMs: PATIENCE_MS, clock: ctx.clock },
    ownerOf: ({ user }) => user.id,
    work: (requests) => runGroup(ctx, pools, requests),
  });
  return async (request) => {
    try {
      return await whenFree(ctx, () => groups.join(request));
    } catch (error) {
      if (error instanceof GroupFailedError || isBusy(error)) {
        return reserveNodes(ctx, request);
      }
      throw error instanceof NothingFreeError ? await nothingFree(ctx, request) : error;
    }
  };
}

/**
 * A COMMIT whose answer was lost is `unavailable` for all: each of them repeats with its key, or cannot know. One that the server refused did nothing,
 * and after one that it did nobody goes his own way.
 */
async function runGroup(ctx: FlowContext, pools: Pools, requests: SecretRequest[]): Promise<PromiseSettledResult<Reservation>[]> {
  let last: Tx | undefined;
  try {
    return await transaction(ctx.db, (tx) => reserveAll((last = tx), ctx, { pools, requests }));
  } catch (error) {
    if (last?.isCommitted || (last?.isCommitting && error instanceof OrionError)) {
      throw error;
    }
    ctx.logger.warn('a group of rents failed, each goes its own way', { rents: requests.length, reason: messageOf(error) });
    throw new GroupFailedError('the group failed', { cause: error });
  }
}

async function reserveAll(tx: Tx, ctx: FlowContext, { pools, requests: asked }: { pools: Pools; requests: SecretRequest[] }): Promise<PromiseSettledResult<Reservation>[]> {
  const [standing, take] = await readAndLock(tx, pools, asked);
  const requests = await Promise.all(asked.map((request) => withKeysOfNow(tx, request, standing.users.get(request.user.id))));
  const { verdicts, granted } = await decideGroup(requests, standing, take);
  const short = requests.filter((_, at) => verdicts[at] === 'short');
  const reservations = granted.length > 0 ? await leaseNodes(tx, ctx, { granted, isLast: short.length === 0 }) : [];
  const isBusy = await findOutWhoIsBusy(tx, short);
  return requests.map((request, at) => settle(verdicts[at] ?? 'short', reservations, () => isBusy(request)));
}

/**
 * Who asks, and nodes for all of them. Together, where each wants one: who is refused has held one for a millisecond. Who wants many has to be known
 * first, for he would keep as many from the others.
 */
async function readAndLock(tx: Tx, pools: Pools, requests: SecretRequest[]): Promise<[Standing, Take]> {
  if (requests.every(({ count }) => count === 1)) {
    return Promise.all([readStanding(tx, requests), pools.fill(tx, requests)]);
  }
  const standing = await readStanding(tx, requests);
  return [standing, await pools.fill(tx, wishesOf(requests, standing))];
}

async function readStanding(tx: Tx, requests: SecretRequest[]): Promise<Standing> {
  const ids = [...new Set(requests.map(({ user }) => user.id))];
  const keys = requests.flatMap(({ user, idempotencyKey }) => (idempotencyKey === null ? [] : [{ userId: user.id, idempotencyKey }]));
  const [users, rents, running] = await Promise.all([lockUsers(tx, ids), findRentsByKeys(tx, keys), countRunningLeasesOf(tx, ids)]);
  return { users: new Map(users.map((user) => [user.id, user])), rents: new Map(rents.map((rent) => [nameOfKey(rent), rent])), running };
}

/** Tells, for callers who got too few nodes, whether there are enough that others are claiming at this moment. */
async function findOutWhoIsBusy(tx: Tx, requests: SecretRequest[]): Promise<(request: SecretRequest) => boolean> {
  const free = new Map<string, number>();
  for (const [name, { requirements, count }] of sumUp(requests)) {
    free.set(name, (await listFreeNodeIds(tx, requirements, count)).length);
  }
  return ({ requirements, count }) => (free.get(nameOf(requirements)) ?? 0) >= count;
}

function settle(verdict: Verdict, reservations: Reservation[], isBusy: () => boolean): PromiseSettledResult<Reservation> {
  if (verdict === 'short') {
    return { status: 'rejected', reason: isBusy() ? new NodesBusyError() : new NothingFreeError() };
  }
  if ('error' in verdict) {
    return { status: 'rejected', reason: verdict.error };
  }
  if ('known' in verdict) {
    return { status: 'fulfilled', value: verdict.known };
  }
  const value = reservations['granted' in verdict ? verdict.granted : verdict.repeats];
  if (!value) {
    throw new Error('a request was granted and not leased');
  }
  return { status: 'fulfilled', value: 'granted' in verdict ? value : { ...value, reserved: [], replayed: true } };
}
