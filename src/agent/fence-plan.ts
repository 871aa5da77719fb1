import type { AccountRecord } from './account-records';
import type { ConfirmedAccount } from './contact';

/** A record, and its end on the clock that never jumps, reckoned when the record was first seen with this end. */
export interface FencedAccount extends AccountRecord {
  endsAtMonotonicMs: number;
}

/** The moment of the decision, on both clocks. */
export interface FenceMoment {
  nowSeconds: number;
  monotonicMs: number;
  /** When the control plane last accepted a heartbeat; the agent's start if it never did. Monotonic. */
  lastContactMs: number;
}

export interface FencePolicy {
  graceSeconds: number;
  heartbeatIntervalSeconds: number;
}

const MISSED_HEARTBEATS = 3;

/**
 * Which accounts this node has to end by itself: those whose lease was over more than the grace ago, while the control plane, whose work it
 * is, has been out of reach for longer than the grace and three heartbeats. Both clocks have to agree, so that a wall clock that is set
 * while the agent runs ends nobody early; and none is ever chosen before its end.
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

/** The end of each record on the monotonic clock: kept from `known` while the end is the same, reckoned anew where it moved. */
export function withMonotonicEnds(records: AccountRecord[], known: FencedAccount[], at: { nowSeconds: number; monotonicMs: number }): FencedAccount[] {
  const before = new Map(known.map((account) => [account.username, account]));
  return records.map((record) => {
    const same = before.get(record.username);
    const kept = same?.uid === record.uid && same.endsAtSeconds === record.endsAtSeconds ? same.endsAtMonotonicMs : undefined;
    return { ...record, endsAtMonotonicMs: kept ?? at.monotonicMs + (record.endsAtSeconds - at.nowSeconds) * 1000 };
  });
}

/**
 * Which accounts this node has to hold, and which of those that it holds it has to release. One is held when the control plane has not
 * confirmed it for longer than the limit, be it out of reach or of another opinion: by then its lease may have an account elsewhere. It is
 * released when an answer lists it again, and only then; one that no answer lists waits, held, for its wipe.
 */
export function planHolds(accounts: ConfirmedAccount[], limitSeconds: number): { hold: ConfirmedAccount[]; release: ConfirmedAccount[] } {
  const living = accounts.filter(({ ended }) => !ended);
  const isOverdue = ({ unconfirmedSeconds }: ConfirmedAccount): boolean => limitSeconds > 0 && unconfirmedSeconds > limitSeconds;
  return {
    hold: living.filter((account) => isOverdue(account) || (account.held && !account.listed)),
    release: living.filter((account) => account.held && account.listed && !isOverdue(account)),
  };
}
