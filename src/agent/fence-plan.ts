import type { AccountRecord } from './account-records';
import type { ConfirmedAccount } from './contact';

/** A record with its end on the monotonic clock, computed when the record was first seen with this end. */
export interface FencedAccount extends AccountRecord {
  endsAtMonotonicMs: number;
}

/** The time of the decision, on both clocks. */
export interface FenceMoment {
  nowSeconds: number;
  monotonicMs: number;
  /** When the control plane last accepted a heartbeat, on the monotonic clock. The agent's start if it never did. */
  lastContactMs: number;
}

export interface FencePolicy {
  graceSeconds: number;
  heartbeatIntervalSeconds: number;
}

const MISSED_HEARTBEATS = 3;

/**
 * Chooses the accounts that this node must end by itself (self-fencing). An account qualifies when its lease ended more than the grace ago.
 * The control plane must also have been silent for longer than the grace and longer than three heartbeat intervals. Until then, the control
 * plane ends accounts itself. Both clocks must agree, so setting the wall clock while the agent runs ends no account early. No account is
 * ever chosen before its end.
 */
export function planFence(accounts: FencedAccount[], moment: FenceMoment, policy: FencePolicy): FencedAccount[] {
  const silentSeconds = (moment.monotonicMs - moment.lastContactMs) / 1000;
  if (silentSeconds <= Math.max(policy.graceSeconds, MISSED_HEARTBEATS * policy.heartbeatIntervalSeconds)) {
    return [];
  }
  return accounts.filter(
    (account) =>
      !account.ended &&
      moment.nowSeconds > account.endsAtSeconds + policy.graceSeconds &&
      moment.monotonicMs > account.endsAtMonotonicMs + policy.graceSeconds * 1000,
  );
}

/** Computes the end of each record on the monotonic clock. A value in `known` is reused while the record's end is the same. */
export function withMonotonicEnds(
  records: AccountRecord[],
  known: FencedAccount[],
  at: { nowSeconds: number; monotonicMs: number },
): FencedAccount[] {
  const before = new Map(known.map((account) => [account.username, account]));
  return records.map((record) => {
    const same = before.get(record.username);
    const kept = same?.uid === record.uid && same.endsAtSeconds === record.endsAtSeconds ? same.endsAtMonotonicMs : undefined;
    return { ...record, endsAtMonotonicMs: kept ?? at.monotonicMs + (record.endsAtSeconds - at.nowSeconds) * 1000 };
  });
}

/**
 * Chooses the accounts that this node must suspend, and the suspended accounts that it must release. It suspends an account that no answer
 * has renewed for longer than the limit: its lease may already have an account on another node. It does not matter whether the control
 * plane is out of reach or no longer lists the account. It releases an account only when an answer lists it again. Any other suspended
 * account waits for its wipe.
 */
export function planHolds(accounts: ConfirmedAccount[], limitSeconds: number): { hold: ConfirmedAccount[]; release: ConfirmedAccount[] } {
  const living = accounts.filter(({ ended }) => !ended);
  const isOverdue = ({ unconfirmedSeconds }: ConfirmedAccount): boolean => limitSeconds > 0 && unconfirmedSeconds > limitSeconds;
  return {
    hold: living.filter((account) => isOverdue(account) || (account.held && !account.listed)),
    release: living.filter((account) => account.held && account.listed && !isOverdue(account)),
  };
}
