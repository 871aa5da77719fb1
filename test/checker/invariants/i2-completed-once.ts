import { type Invariant, violationOf } from '../evidence';

const broken = violationOf('I2');

/**
 * An account that was there is worked on again for an extension, when its node came back, when its node's clock was set, and for each
 * change of who may log in, which its row counts.
 */
const COMPLETED = new Set(['lease.active', 'placement.refreshed']);

const REASONS = new Set(['lease.resumed', 'node.clock_jumped']);

const nameOf = (leaseId: number, generation: number): string => `lease ${leaseId}, generation ${generation}`;

/**
 * A claim is completed once: a process that lost its claim writes nothing. A placement is therefore completed no more often than there was
 * reason to work on it.
 */
export const completedOnce: Invariant = ({ tables: { events, extensions, placements } }) => {
  const reasons = new Map<number, number>();
  const completed = new Map<string, { leaseId: number; times: number }>();
  const addReason = (leaseId: number): unknown => reasons.set(leaseId, (reasons.get(leaseId) ?? 0) + 1);
  extensions.forEach(({ leaseId }) => addReason(leaseId));
  for (const { type, leaseId, data } of events) {
    if (leaseId !== null && REASONS.has(type)) {
      addReason(leaseId);
    }
    if (leaseId !== null && COMPLETED.has(type)) {
      const name = nameOf(leaseId, Number(data['generation']));
      completed.set(name, { leaseId, times: (completed.get(name)?.times ?? 0) + 1 });
    }
  }
  const wanted = new Map(placements.map(({ leaseId, generation, accessWanted }) => [nameOf(leaseId, generation), accessWanted]));
  return [...completed]
    .map(([name, { leaseId, times }]) => ({ name, times, reasons: (wanted.get(name) ?? 1) + (reasons.get(leaseId) ?? 0) }))
    .filter(({ times, reasons: most }) => times > most)
    .map(({ name, times, reasons: most }) => broken(name, `was completed ${times} times; there was work to complete ${most} times`));
};
