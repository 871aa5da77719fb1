import { type Invariant, type Tables, type Violation, violationOf } from '../evidence';

const broken = violationOf('I10');

/** A node that is well was checked within this time, whatever happens to others; it covers the default interval of 30 s three times. */
const STALE_MS = 90_000;

/** How long a lease may be due to be moved while a scheduler is at work and moves nobody. */
const BLOCKED_MS = 20_000;

/** One broken node or lease blocks no other: nodes that are well keep being checked, nobody is stuck in the making or in the queue. */
export const nobodyIsBlocked: Invariant = ({ tables }) => [...overdue(tables), ...blocked(tables)];

const overdue = ({ nodes, leases, now }: Tables): Violation[] => [
  ...nodes
    .filter(({ status, lastCheckedAt }) => status === 'alive' && lastCheckedAt !== null && now - lastCheckedAt > STALE_MS)
    .map(({ id, lastCheckedAt }) => broken(`node ${id}`, `was last checked ${Math.round((now - (lastCheckedAt ?? now)) / 1000)} s ago`)),
  ...leases
    .filter(({ state, endsAt }) => RUNNING_LATE.has(state) && now - endsAt > STALE_MS)
    .map(({ id, state, endsAt }) => broken(`lease ${id}`, `is still ${state} ${Math.round((now - endsAt) / 1000)} s after its end`)),
];

const RUNNING_LATE = new Set(['provisioning', 'active', 'migrating']);

const DEALT_WITH = new Set(['lease.moved', 'lease.waiting', 'lease.resumed']);

function blocked({ events, leases, now, controlPlane: { breakerSince, lastTickAt } }: Tables): Violation[] {
  if (breakerSince !== null || now - lastTickAt > BLOCKED_MS / 2) {
    return [];
  }
  const progressAt = events.reduce((latest, { type, at }) => (DEALT_WITH.has(type) ? Math.max(latest, at) : latest), 0);
  return leases
    .filter(({ state, dueAt }) => state === 'migrating' && dueAt !== null && now - dueAt > BLOCKED_MS && progressAt < dueAt)
    .map(({ id, dueAt }) =>
      broken(`lease ${id}`, `has been due to be moved for ${Math.round((now - (dueAt ?? now)) / 1000)} s, in which nobody was`),
    );
}
