/** One archive of a home: `full`, or the changes since the previous archive. */
export interface Archive {
  /** Grows with each claim of the lease's backups, so two attempts never write the same archive. */
  number: number;
  full: boolean;
  /** Generation of the placement whose home it was. */
  generation: number;
  /** Size as stored, encrypted. */
  bytes: number;
}

/** The home backup of a lease, as its tenant sees it. */
export interface Checkpoint {
  leaseId: number;
  /** False: the rent requested none. */
  enabled: boolean;
  /** The archives that a restore needs, in order. Empty before the first backup and after the end of the lease. */
  archives: Archive[];
  /** The backup contains everything that was written before this instant. */
  lastAt: Date | null;
  /** Age by the database's clock, when the row was read. */
  ageSeconds: number | null;
  /** Why the last attempt failed, or what could not be restored. */
  error: string | null;
}

/** A lease whose home backup this process works on until its claim expires. */
export interface ClaimedCheckpoint {
  leaseId: number;
  token: string;
  /** Number of the archive that is written under this claim. */
  number: number;
  archives: Archive[];
  /** Number of failed attempts in a row. */
  failures: number;
}

/** The home cannot be restored completely: an archive is missing or corrupt, there is no room, or it takes too long. */
export class RestoreError extends Error {
  override name = 'RestoreError';

  constructor(
    message: string,
    /** It took too long; another node is hardly faster. */ readonly late = false,
  ) {
    super(message);
  }
}

/** The archive is larger than a lease may store. */
export class TooLargeError extends Error {
  override name = 'TooLargeError';
}

/** The node does not have the state that the last archive left there, so the changes since then are unknown. */
export class StateMissingError extends Error {
  override name = 'StateMissingError';
}
