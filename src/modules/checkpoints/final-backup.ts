/** What is known of the checkpoint that a planned move waits for. */
export interface FinalBackup {
  /** Since when it is waited for; null: nobody has asked for it yet. */
  wantedSeconds: number | null;
  /** Whether an attempt that was begun since then has come to its end, well or not. */
  tried: boolean;
}

/** A planned move does not wait any longer: the tenant keeps what the last checkpoint has. */
const PATIENCE_SECONDS = 120;
/** What was asked for longer ago is no fresh checkpoint any more: the lease found no node meanwhile. */
const STALE_SECONDS = 180;

/** Whether a lease that leaves a living node asks for a fresh checkpoint first, waits for it, or goes. Pure. */
export function judgeFinalBackup({ wantedSeconds, tried }: FinalBackup): 'ask' | 'wait' | 'go' {
  if (wantedSeconds === null || wantedSeconds > STALE_SECONDS) {
    return 'ask';
  }
  return tried || wantedSeconds > PATIENCE_SECONDS ? 'go' : 'wait';
}
