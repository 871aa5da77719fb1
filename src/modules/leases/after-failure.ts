/** The failure of a placement, as the provisioner reports it. */
export type PlacementFailure = 'unreachable' | 'host_key_changed' | 'stale' | 'uid_taken' | 'deadline' | 'login_refused' | 'failed';

export interface FailureCircumstances {
  failure: PlacementFailure;
  /** Attempts on this placement, this one included. */
  attempts: number;
}

const SAME_NODE_ATTEMPTS = 2;

/**
 * Decides whether to try the same node once more or another one. A node that can be reached gets a second chance, since a package manager's
 * lock or a full process table passes. A node that cannot be reached, or that refuses the account for good, gets none. Pure.
 */
export function decideAfterFailure({ failure, attempts }: FailureCircumstances): 'retry' | 'move' {
  return failure === 'failed' && attempts < SAME_NODE_ATTEMPTS ? 'retry' : 'move';
}
