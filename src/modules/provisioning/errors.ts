/**
 * Why a provisioning call failed.
 *
 * - `unreachable`: no SSH session (refused, timeout, login denied). The node's health is in doubt.
 * - `host_key_changed`: another machine answered. The node is quarantined.
 * - `stale`: the node refused an account that was already wiped there, or a wipe older than an account (NewerAccountError). Usually the
 *   caller lost its claim long ago.
 * - `deadline`: the play was killed at its deadline. It may still have worked.
 * - `login_refused`: the account exists, but the node does not let its tenant log in. The message contains the cause.
 * - `uid_taken`: the account's uid belongs to something else on the node (UidTakenError). Nothing was made.
 * - `failed`: anything else. The node is reachable but cannot do the work.
 */
export type ProvisioningFailure = 'unreachable' | 'host_key_changed' | 'stale' | 'uid_taken' | 'deadline' | 'login_refused' | 'failed';

export class ProvisioningError extends Error {
  override name = 'ProvisioningError';
  constructor(
    readonly failure: ProvisioningFailure,
    message: string,
    /** Tail of the play's output, capped and redacted. */
    readonly output = '',
  ) {
    super(message);
  }
}

/** The node refused a wipe that is older than an account on it. Nothing was done. */
export class NewerAccountError extends ProvisioningError {
  override name = 'NewerAccountError';
  constructor(
    /** Uid of the newest account on the node, as the node reported it. */
    readonly newestUid: number,
    message: string,
    output?: string,
  ) {
    super('stale', message, output);
  }
}

/** The uid of a new account belongs to something else on the node. Nothing was done. */
export class UidTakenError extends ProvisioningError {
  override name = 'UidTakenError';
  constructor(
    /** The lowest higher uid that the node considers free, as the node reported it. */
    readonly nextFree: number,
    message: string,
    output?: string,
  ) {
    super('uid_taken', message, output);
  }
}

/**
 * The node has already wiped an account with this uid or a higher one. Its fencing token is ahead of the database, or the request came
 * late. Nothing was done.
 */
export class StaleUidError extends ProvisioningError {
  override name = 'StaleUidError';
  constructor(
    /** The highest uid that the node ever wiped. */
    readonly fence: number,
    message: string,
    output?: string,
  ) {
    super('stale', message, output);
  }
}

/** The time of a wipe ended before it had removed everything. It did remove something, and the next attempt continues from there. */
export class UnfinishedWipeError extends ProvisioningError {
  override name = 'UnfinishedWipeError';
  constructor(message: string, output?: string) {
    super('failed', message, output);
  }
}
