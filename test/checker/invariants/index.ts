import type { Evidence, Invariant, Violation } from '../evidence';
import { acknowledgedIsKept } from './i3-acknowledged-is-kept';
import { accountsAreLeases } from './i7-accounts-are-leases';
import { aFailedWipeIsNotForgotten } from './i9-a-failed-wipe-is-not-forgotten';
import { backMeansWiped } from './i6-back-means-wiped';
import { freeMeansClean } from './i5-free-means-clean';
import { nobodyIsBlocked } from './i10-nobody-is-blocked';
import { nobodyMovesWithoutCause } from './i8-nobody-moves-without-cause';
import { pinnedKeys } from './trust-pinned-keys';
import { sealedEvents } from './trust-sealed-events';
import { schemaRefuses } from './schema-refuses';
import { nothingIsStoredAfterTheEnd } from './i7-nothing-is-stored-after-the-end';
import { completedOnce } from './i2-completed-once';
import { oneCurrentPlacement } from './i2-one-current-placement';
import { oneLeaseANode } from './i1-one-lease-a-node';
import { theEndMovesByExtending } from './i4-the-end-moves-by-extending';
import { uidsOfTheFleet } from './i2-uids-of-the-fleet';

/** I1 to I10, then what the schema has to refuse and what is trusted. */
export const INVARIANTS: Invariant[] = [
  oneLeaseANode,
  oneCurrentPlacement,
  uidsOfTheFleet,
  completedOnce,
  acknowledgedIsKept,
  theEndMovesByExtending,
  freeMeansClean,
  backMeansWiped,
  accountsAreLeases,
  nothingIsStoredAfterTheEnd,
  nobodyMovesWithoutCause,
  aFailedWipeIsNotForgotten,
  nobodyIsBlocked,
  schemaRefuses,
  pinnedKeys,
  sealedEvents,
];

export const checkInvariants = (evidence: Evidence): Violation[] => INVARIANTS.flatMap((invariant) => invariant(evidence));
