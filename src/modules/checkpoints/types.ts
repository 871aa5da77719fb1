/** One archive of a home: `full`, or what changed since the one before it. */
export interface Archive {
  /** Grows with each claim of the lease's checkpoints, so no two attempts ever write the same one. */
  number: number;
  full: boolean;
  /** Of the placement whose home it was. */
  generation: number;
  /** As stored, encrypted. */
  bytes: number;
}

/** What a lease's owner is shown. */
export interface Checkpoint {
  leaseId: number;
  /** False: the rent asked for none. */
  enabled: boolean;
  /** What a restore takes, in order; empty before the first checkpoint and after the end. */
  archives: Archive[];
  /** Whatever was written before this instant is in it. */
  lastAt: Date | null;
  /** By the database's clock, at the time of reading. */
  ageSeconds: number | null;
  /** Why the last attempt failed, or what could not be restored. */
  error: string | null;
}

/** A lease whose checkpoints this process works on until its claim expires. */
export interface ClaimedCheckpoint {
  leaseId: number;
  token: string;
  /** What an archive that is written under this claim is called by. */
  number: number;
  archives: Archive[];
  /** Attempts that failed in a row. */
  failures: number;
}

/** The account's home cannot be put back as it was: an archive is missing or corrupt, or there is no room for it, or it takes too long. */
export class RestoreError extends Error {
  override name = 'RestoreError';

  constructor(message: string, /** It took too long: another node is hardly faster. */ readonly late = false) {
    super(message);
  }
}

/** There is more to store than a lease may. */
export class TooLargeError extends Error {
  override name = 'TooLargeError';
}

/** The node does not have what the last archive left there, so what changed since then is unknown. */
export class StateMissingError extends Error {
  override name = 'StateMissingError';
}
