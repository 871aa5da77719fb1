import { type EventRecord, groupBy, type Invariant, type Violation, violationOf } from '../evidence';

const broken = violationOf('I4');

/** The end that the lease was rented with, from the event of its rent. */
function firstEnd(events: EventRecord[], createdAt: number): number | null {
  const seconds = events.find(({ type }) => type === 'lease.requested')?.data['duration_seconds'];
  return typeof seconds === 'number' ? createdAt + seconds * 1000 : null;
}

/** Both instants are rounded to a millisecond by themselves. */
const same = (a: number, b: number): boolean => Math.abs(a - b) <= 1;

/**
 * `ends_at` is the rented end plus the recorded extensions, each beginning where the one before ended; no lease ends before it by expiry.
 */
export const theEndMovesByExtending: Invariant = ({ tables, history }) => {
  const extensions = groupBy(tables.extensions, ({ leaseId }) => leaseId);
  const eventsOf = groupBy(tables.events, ({ leaseId }) => leaseId ?? 0);
  const toldOf = groupBy(
    history.filter(({ outcome }) => outcome === 'ok').flatMap(({ leases }) => leases),
    ({ id }) => id,
  );
  return tables.leases.flatMap((lease) => {
    const where = `lease ${lease.id}`;
    const found: Violation[] = [];
    const events = eventsOf.get(lease.id) ?? [];
    let end = firstEnd(events, lease.createdAt);
    for (const { endsBefore, endsAfter, at } of [...(extensions.get(lease.id) ?? [])].sort((a, b) => a.id - b.id)) {
      if (end !== null && !same(end, endsBefore)) {
        found.push(broken(where, `was extended from ${endsBefore}, but ended at ${end}`));
      }
      if (at > endsBefore) {
        found.push(broken(where, 'was extended after its end'));
      }
      end = endsAfter;
    }
    if (end !== null && !same(end, lease.endsAt)) {
      found.push(broken(where, `ends at ${lease.endsAt}; what was rented and extended gives ${end}`));
    }
    const expiry = events.find(({ type, data }) => (type === 'lease.ending' || type === 'lease.ended') && data['reason'] === 'expired');
    if (expiry && expiry.at < lease.endsAt) {
      found.push(broken(where, `expired at ${expiry.at}, before its end ${lease.endsAt}`));
    }
    found.push(
      ...(toldOf.get(lease.id) ?? [])
        .filter(({ endsAt }) => endsAt > lease.endsAt + 1)
        .map(({ endsAt }) => broken(where, `a client was told that it ends at ${endsAt}; it ends at ${lease.endsAt}`)),
    );
    return found;
  });
};
