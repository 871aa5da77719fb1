/**
 * `unreachable`: no SSH session (refused, timeout, login denied); the node's health is in doubt.
 * `host_key_changed`: somebody else answered; the node is quarantined.
 * `stale`: the node refused an account that was already wiped there, or a wipe that is older than an account (NewerAccountError); as a rule the caller lost
 *   its claim long ago.
 * `deadline`: the play was killed at its deadline; it may still have worked.
 * `login_refused`: the account is there, and the node does not let its tenant in; the message says why.
 * `uid_taken`: the number of the account is somebody else's on the node (UidTakenError); nothing was made.
 * `failed`: anything else: the node is reachable but cannot do it.
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

/** A wipe was refused: nothing was done. */
export class NewerAccountError extends ProvisioningError {
  override name = 'NewerAccountError';
  constructor(
    /** Of the newest account on the node, as it says. */
    readonly newestUid: number,
    message: string,
    output?: string,
  ) {
    super('stale', message, output);
  }
}

/** The uid of a new account belongs to somebody or something else on the node: nothing was done. */
export class UidTakenError extends ProvisioningError {
  override name = 'UidTakenError';
  constructor(
    /** The lowest number above it that the node thinks free, as it says. */
    readonly nextFree: number,
    message: string,
    output?: string,
  ) {
    super('uid_taken', message, output);
  }
}

/** The node wiped an account with this uid or a higher one: its fence is ahead of the database, or the order came late. Nothing was done. */
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

/** The time of a wipe was over before it had removed everything, and it had removed something: the next attempt goes on from there. */
export class UnfinishedWipeError extends ProvisioningError {
  override name = 'UnfinishedWipeError';
  constructor(message: string, output?: string) {
    super('failed', message, output);
  }
}
