import { type Invariant, violationOf } from '../evidence';

const broken = violationOf('I2');

/** An account that was there is worked on again for an extension, when its node came back, when its node's clock was set, and for each change of who may log in, which its row counts. */
const SETTLED = new Set(['lease.active', 'placement.refreshed']);

const REASONS = new Set(['lease.resumed', 'node.clock_jumped']);

const nameOf = (leaseId: number, generation: number): string => `lease ${leaseId}, generation ${generation}`;

/** A claim is settled once: whoever lost it writes nothing, so that a placement is settled no more often than there was reason to work on it. */
export const settledOnce: Invariant = ({ tables: { events, extensions, placements } }) => {
  const reasons = new Map<number, number>();
  const settled = new Map<string, { leaseId: number; times: number }>();
  const addReason = (leaseId: number): unknown => reasons.set(leaseId, (reasons.get(leaseId) ?? 0) + 1);
  extensions.forEach(({ leaseId }) => addReason(leaseId));
  for (const { type, leaseId, data } of events) {
    if (leaseId !== null && REASONS.has(type)) {
      addReason(leaseId);
    }
    if (leaseId !== null && SETTLED.has(type)) {
      const name = nameOf(leaseId, Number(data['generation']));
      settled.set(name, { leaseId, times: (settled.get(name)?.times ?? 0) + 1 });
    }
  }
  const wanted = new Map(placements.map(({ leaseId, generation, accessWanted }) => [nameOf(leaseId, generation), accessWanted]));
  return [...settled]
    .map(([name, { leaseId, times }]) => ({ name, times, reasons: (wanted.get(name) ?? 1) + (reasons.get(leaseId) ?? 0) }))
    .filter(({ times, reasons: most }) => times > most)
    .map(({ name, times, reasons: most }) => broken(name, `was settled ${times} times; there was work to settle ${most} times`));
};
