import { OrionError } from '../../lib/errors';
import type { User } from '../../modules/accounts';
import { checkTerm, type Rent } from '../../modules/leases';
import type { ClaimedNode, Requirements } from '../../modules/nodes';
import type { Granted } from './lease-nodes';
import { checkQuota, hashOf, noSuchUser, refuseDisabled, replay, type Reservation, type SecretRequest } from './rent-request';
import { isBusy, NodesBusyError } from '../support/when-free';

/** State of the database that decides about the requests of a batch. */
export interface Standing {
  /** Users whose rows this transaction has locked. */
  users: Map<number, User>;
  /** Why `users` lacks a user: the user does not exist, or another transaction has locked the row. */
  missing: 'gone' | 'busy';
  /** Running leases by user. */
  running: Map<number, number>;
  /** Rents of before by `nameOfKey`. */
  rents: Map<string, Rent>;
}

/**
 * The decision on one request: an error, a rent of before, the `granted`th rent of this batch, a repetition of that rent, or `short`: too
 * few nodes are free.
 */
export type Decision = { error: unknown } | { known: Reservation } | { granted: number } | { repeats: number } | 'short';

export interface Wish {
  requirements: Requirements;
  count: number;
}

/** Allocates the nodes of one request: all that it wants, or null. */
export type Take = (wish: Wish) => Promise<ClaimedNode[] | null>;

export const nameOfKey = ({ userId, idempotencyKey }: { userId: number; idempotencyKey: string }): string => `${userId} ${idempotencyKey}`;

const nameOf = ({ user, idempotencyKey }: SecretRequest): string | undefined =>
  idempotencyKey === null ? undefined : nameOfKey({ userId: user.id, idempotencyKey });

/**
 * The nodes that the requests may get as far as is known before any node is locked: none beyond a quota, none for a user whose row another
 * transaction has locked, and one rent for each key. Pure.
 */
export function wishesOf(requests: SecretRequest[], { users, running, rents }: Standing): Wish[] {
  const used = new Map(running);
  const seen = new Set(rents.keys());
  return requests.flatMap((request) => {
    const {
      user: { id },
      count,
      requirements,
    } = request;
    const name = nameOf(request);
    const holds = (used.get(id) ?? 0) + count;
    if (holds > (users.get(id)?.maxLeases ?? 0) || (name !== undefined && seen.has(name))) {
      return [];
    }
    used.set(id, holds);
    if (name !== undefined) {
      seen.add(name);
    }
    return [{ requirements, count }];
  });
}

/** A refusal concerns one request. An error of the database ends the transaction for the whole batch. */
function orGiveUp(error: unknown): Decision {
  if (error instanceof OrionError || isBusy(error)) {
    return { error };
  }
  throw error;
}

/** Decides on the requests in order. Each request gets what it would get alone, after the requests before it. */
export async function decideBatch(
  requests: SecretRequest[],
  standing: Standing,
  take: Take,
): Promise<{ decisions: Decision[]; granted: Granted[] }> {
  const running = new Map(standing.running);
  const granted: Granted[] = [];
  const grantedByName = new Map<string, number>();
  const decide = async (request: SecretRequest): Promise<Decision> => {
    const user = standing.users.get(request.user.id);
    if (!user) {
      throw standing.missing === 'gone' ? noSuchUser() : new NodesBusyError();
    }
    const name = nameOf(request) ?? '';
    const known = standing.rents.get(name);
    if (known) {
      return { known: replay(request, known) };
    }
    const twin = granted[grantedByName.get(name) ?? -1];
    if (twin) {
      replay(request, { id: 0, requestHash: hashOf(twin.request) });
      return { repeats: granted.indexOf(twin) };
    }
    refuseDisabled(user);
    checkTerm(request.durationSeconds, user);
    const holds = running.get(user.id) ?? 0;
    checkQuota(user, holds, request.count);
    const nodes = await take(request);
    if (!nodes) {
      return 'short';
    }
    running.set(user.id, holds + request.count);
    granted.push({ request, nodes });
    if (name !== '') {
      grantedByName.set(name, granted.length - 1);
    }
    return { granted: granted.length - 1 };
  };
  const decisions: Decision[] = [];
  for (const request of requests) {
    decisions.push(await decide(request).catch(orGiveUp));
  }
  return { decisions, granted };
}
