import { OrionError } from '../../lib/errors';
import { sha256 } from '../../lib/ids';
import type { Origin } from '../../lib/origin';
import type { User } from '../../modules/accounts';
import type { ClaimedPlacement, Lease, Rent } from '../../modules/leases';
import type { Node, ReachableNode, Requirements } from '../../modules/nodes';

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

/** A request with what is stored of its secret. */
export type SecretRequest = RentRequest & {
  passwordHash: string | null;
  /** For its events: a batch holds requests of several calls. Default: the call that reserves. */
  origin?: Origin | null;
};

/** A request that is in the database, with its leases and placements all claimed by this process. */
export interface Reservation {
  rentId: number;
  /** What was leased, as it was committed. Empty when it is a repetition. */
  reserved: Reserved[];
  replayed: boolean;
}

export interface Reserved {
  placement: ClaimedPlacement;
  lease: Lease;
  node: ReachableNode & Pick<Node, 'notExamined'>;
}

/** On the user as it is now: it may have been disabled since the request was let in. Throws forbidden. */
export function refuseDisabled({ disabledAt }: User): void {
  if (disabledAt !== null) {
    throw new OrionError('forbidden', 'The account is disabled: nothing was leased.');
  }
}

/** The error of a request for a user that is not there. */
export const noSuchUser = (): OrionError => new OrionError('not_found', 'There is no such user.');

/** A repetition of the rent that its key stands for. Throws idempotency_key_reused when it asks for something else. */
export function replay(request: RentRequest, known: Rent): Reservation {
  if (known.requestHash !== hashOf(request)) {
    throw new OrionError('idempotency_key_reused', 'This Idempotency-Key stands for a different rent. Use a new key for a new rent.');
  }
  return { rentId: known.id, reserved: [], replayed: true };
}

/** What a repetition has to ask for again. Pure. */
export function hashOf({ durationSeconds, count, requirements, keyInRequest, withPassword, checkpoint }: RentRequest): string {
  const labels = Object.entries(requirements.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return sha256(
    JSON.stringify([
      durationSeconds,
      count,
      requirements.cpus,
      requirements.memoryMb,
      labels,
      keyInRequest,
      withPassword,
      ...(checkpoint ? [] : [checkpoint]),
    ]),
  );
}

/** @param running leases that the user holds already */
export function checkQuota({ maxLeases }: User, running: number, count: number): void {
  if (running + count > maxLeases) {
    throw new OrionError(
      'quota_exceeded',
      `This account may hold ${maxLeases} leases at a time and holds ${running}. Release one, or ask an operator for a higher limit.`,
      {
        details: { max_leases: maxLeases, running },
      },
    );
  }
}
