import { type Invariant, violationOf } from '../evidence';

const broken = violationOf('I10');

/** A node that is well was checked within this time, whatever happens to others; it covers the default interval of 30 s three times. */
const STALE_MS = 90_000;

/** One poisoned node or lease blocks no other: nodes that are well keep being checked, nobody is stuck in the making. */
export const nobodyIsBlocked: Invariant = ({ tables: { nodes, leases, now } }) => [
  ...nodes
    .filter(({ status, lastCheckedAt }) => status === 'alive' && lastCheckedAt !== null && now - lastCheckedAt > STALE_MS)
    .map(({ id, lastCheckedAt }) => broken(`node ${id}`, `was last checked ${Math.round((now - (lastCheckedAt ?? now)) / 1000)} s ago`)),
  ...leases
    .filter(({ state, endsAt }) => RUNNING_LATE.has(state) && now - endsAt > STALE_MS)
    .map(({ id, state, endsAt }) => broken(`lease ${id}`, `is still ${state} ${Math.round((now - endsAt) / 1000)} s after its end`)),
];

const RUNNING_LATE = new Set(['provisioning', 'active', 'migrating']);
