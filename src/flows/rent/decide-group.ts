import { OrionError } from '../../lib/errors';
import type { User } from '../../modules/accounts';
import { checkTerm, type Rent } from '../../modules/leases';
import type { ClaimedNode, Requirements } from '../../modules/nodes';
import type { Granted } from './lease-nodes';
import { checkQuota, hashOf, noSuchUser, refuseDisabled, replay, type Reservation, type SecretRequest } from './rent-request';
import { isBusy, NodesBusyError } from '../support/when-free';

/** What the database says about the callers of a group. */
export interface Standing {
  /** Locked. */
  users: Map<number, User>;
  /** Why a user is missing: there is none, or its row is in other hands at this moment. */
  missing: 'gone' | 'busy';
  /** Running leases by user. */
  running: Map<number, number>;
  /** By `nameOfKey`: the keys that were used before. */
  rents: Map<string, Rent>;
}

/** What is said to one caller: an error, a rent from before, the `granted`th of the group, a repetition of that one, or that there are too few nodes. */
export type Verdict = { error: unknown } | { known: Reservation } | { granted: number } | { repeats: number } | 'short';

export interface Wish {
  requirements: Requirements;
  count: number;
}

/** Gives a caller his nodes: all that he wants, or null. */
export type Take = (wish: Wish) => Promise<ClaimedNode[] | null>;

export const nameOfKey = ({ userId, idempotencyKey }: { userId: number; idempotencyKey: string }): string => `${userId} ${idempotencyKey}`;

const nameOf = ({ user, idempotencyKey }: SecretRequest): string | undefined => (idempotencyKey === null ? undefined : nameOfKey({ userId: user.id, idempotencyKey }));

/** What the callers may have as far as is known: nothing beyond a quota or for a user in other hands, and one rent for a key. Pure. */
export function wishesOf(requests: SecretRequest[], { users, running, rents }: Standing): Wish[] {
  const used = new Map(running);
  const seen = new Set(rents.keys());
  return requests.flatMap((request) => {
    const { user: { id }, count, requirements } = request;
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

/** A refusal is the caller's alone; what the database refuses ends the transaction for all of them. */
function orGiveUp(error: unknown): Verdict {
  if (error instanceof OrionError || isBusy(error)) {
    return { error };
  }
  throw error;
}

/** Goes through the callers in order and gives each what he would get if he came alone after those before him. */
export async function decideGroup(requests: SecretRequest[], standing: Standing, take: Take): Promise<{ verdicts: Verdict[]; granted: Granted[] }> {
  const running = new Map(standing.running);
  const granted: Granted[] = [];
  const grantedByName = new Map<string, number>();
  const decide = async (request: SecretRequest): Promise<Verdict> => {
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
  const verdicts: Verdict[] = [];
  for (const request of requests) {
    verdicts.push(await decide(request).catch(orGiveUp));
  }
  return { verdicts, granted };
}
