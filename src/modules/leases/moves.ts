import { type Moves, stateSql } from '../../db/moves';
import { type LeaseState, type PlacementState, RUNNING } from './types';

/** Every change of a lease's state. `npm run docs:states` draws them in docs/states.md. */
export const LEASE_MOVES = {
  rent: { from: [], to: 'provisioning', cause: 'rented' },
  activate: { from: ['provisioning', 'migrating'], to: 'active', cause: 'account is there' },
  stay: { from: ['migrating'], to: 'active', cause: 'its node may keep it after all' },
  migrate: { from: ['active', 'migrating'], to: 'migrating', cause: 'node dead, quarantined, drained, retired or leaving' },
  end: { from: RUNNING, to: 'ending', cause: 'expired, released or revoked' },
  endOnLostNode: { from: RUNNING, to: 'ended', cause: 'expired, released or revoked on a lost node' },
  fail: { from: RUNNING, to: 'failed', cause: 'no node could make an account of its rent' },
  finish: { from: ['ending'], to: 'ended', cause: 'wipe verified, or node lost' },
  prune: { from: ['ended', 'failed'], to: null, cause: 'older than the kept history' },
} as const satisfies Moves<LeaseState>;

/** Every change of a placement's state. */
export const PLACEMENT_MOVES = {
  make: { from: [], to: 'creating', cause: 'lease rented or moved' },
  complete: { from: ['creating', 'present'], to: 'present', cause: 'account made' },
  resume: { from: ['creating', 'present'], to: 'creating', cause: 'its node came back' },
  retire: { from: ['creating', 'present'], to: 'wiping', cause: 'lease ended or moved' },
  wipe: { from: ['wiping'], to: 'wiped', cause: 'wipe verified' },
  prune: { from: ['wiped'], to: null, cause: 'its lease is pruned' },
} as const satisfies Moves<PlacementState>;

export const leaseState = stateSql({ table: 'leases', column: 'state', moves: LEASE_MOVES });
export const placementState = stateSql({ table: 'placements', column: 'state', moves: PLACEMENT_MOVES });
