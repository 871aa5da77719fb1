/** What went wrong with a placement, as the provisioner says it. */
export type PlacementFailure = 'unreachable' | 'host_key_changed' | 'stale' | 'uid_taken' | 'deadline' | 'login_refused' | 'failed';

export interface FailureCircumstances {
  failure: PlacementFailure;
  /** Attempts on this very placement, this one included. */
  attempts: number;
}

const SAME_NODE_ATTEMPTS = 2;

/**
 * Whether to try the same node once more or to look for another. A node that can be reached gets a second chance, since a package
 * manager's lock or a full process table passes; one that cannot, or that refuses the account for good, does not. Pure.
 */
export function decideAfterFailure({ failure, attempts }: FailureCircumstances): 'retry' | 'move' {
  return failure === 'failed' && attempts < SAME_NODE_ATTEMPTS ? 'retry' : 'move';
}
