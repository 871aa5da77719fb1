/** The state of the final backup that a planned move waits for. */
export interface FinalBackup {
  /** For how many seconds the backup has been requested; null: not requested yet. */
  wantedSeconds: number | null;
  /** Whether an attempt that started after the request has ended, successfully or not. */
  tried: boolean;
}

/** Longest wait of a planned move. After that, the tenant keeps the content of the last backup. */
const PATIENCE_SECONDS = 120;
/** A request older than this does not count: the lease found no node meanwhile, and the backup would be outdated. */
const STALE_SECONDS = 180;

/** Decides whether a lease that leaves a living node requests a final backup, waits for it, or moves. Pure. */
export function judgeFinalBackup({ wantedSeconds, tried }: FinalBackup): 'ask' | 'wait' | 'go' {
  if (wantedSeconds === null || wantedSeconds > STALE_SECONDS) {
    return 'ask';
  }
  return tried || wantedSeconds > PATIENCE_SECONDS ? 'go' : 'wait';
}
