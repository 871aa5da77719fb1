import { type Invariant, violationOf } from '../evidence';

const broken = violationOf('I2');

/** An account that was there is worked on again for an extension, and when its node came back. */
const SETTLED = new Set(['lease.active', 'placement.refreshed']);

/** A claim is settled once: whoever lost it writes nothing, so that a placement is settled no more often than there was reason to work on it. */
export const settledOnce: Invariant = ({ tables: { events, extensions } }) => {
  const reasons = new Map<number, number>();
  const settled = new Map<string, { leaseId: number; times: number }>();
  const addReason = (leaseId: number): unknown => reasons.set(leaseId, (reasons.get(leaseId) ?? 0) + 1);
  extensions.forEach(({ leaseId }) => addReason(leaseId));
  for (const { type, leaseId, data } of events) {
    if (leaseId !== null && type === 'lease.resumed') {
      addReason(leaseId);
    }
    if (leaseId !== null && SETTLED.has(type)) {
      const name = `lease ${leaseId}, generation ${Number(data['generation'])}`;
      settled.set(name, { leaseId, times: (settled.get(name)?.times ?? 0) + 1 });
    }
  }
  return [...settled]
    .filter(([, { leaseId, times }]) => times > 1 + (reasons.get(leaseId) ?? 0))
    .map(([name, { leaseId, times }]) => broken(name, `was settled ${times} times; there was work to settle ${1 + (reasons.get(leaseId) ?? 0)} times`));
};
