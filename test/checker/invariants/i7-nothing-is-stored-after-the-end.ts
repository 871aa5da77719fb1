import { type Invariant, RUNNING, violationOf } from '../evidence';

const broken = violationOf('I7');

/** How long after the end files may still be there: the removal with a few retries. */
const GRACE_MS = 60_000;

/** What is stored of homes is of leases that run, or have run until just now. */
export const nothingIsStoredAfterTheEnd: Invariant = ({ tables: { leases, now }, stored = [] }) => {
  const leaseOf = new Map(leases.map((lease) => [lease.id, lease]));
  return stored.flatMap(({ leaseId, files }) => {
    const lease = leaseOf.get(leaseId);
    const where = `lease ${leaseId}`;
    if (!lease) {
      return [broken(where, `is unknown and has ${files.length} files in the store of checkpoints`)];
    }
    const over = !RUNNING.has(lease.state) && lease.endedAt !== null && now > lease.endedAt + GRACE_MS;
    return over ? [broken(where, `is ${lease.state} and has ${files.length} files in the store of checkpoints`)] : [];
  });
};
