import { type Invariant, violationOf } from '../evidence';

const broken = violationOf('I3');

/** An acknowledged lease is never lost, and one idempotency key is at most one rent: whatever came back, or did not. */
export const acknowledgedIsKept: Invariant = ({ tables: { leases, rents }, history }) => {
  const known = new Map(leases.map((lease) => [lease.id, lease]));
  const rented = history.filter(({ kind, outcome }) => kind === 'rent' && outcome === 'ok');
  const lost = rented.flatMap((operation) =>
    operation.leases
      .filter(({ id }) => known.get(id)?.userId !== operation.userId)
      .map(({ id }) => broken(`lease ${id}`, `was acknowledged to user ${operation.userId} and ${known.has(id) ? 'is another\'s' : 'is gone'}`)),
  );
  const byKey = new Map<string, Set<string>>();
  for (const { userId, key, leases: got } of rented.filter((operation) => operation.key !== null)) {
    const name = `user ${userId}, key ${key ?? ''}`;
    byKey.set(name, (byKey.get(name) ?? new Set<string>()).add(got.map(({ id }) => id).sort((a, b) => a - b).join(',')));
  }
  const different = [...byKey].filter(([, answers]) => answers.size > 1).map(([name, answers]) => broken(name, `stood for different leases: ${[...answers].join(' / ')}`));
  const names = rents.filter(({ idempotencyKey }) => idempotencyKey !== null).map(({ userId, idempotencyKey }) => `user ${userId}, key ${idempotencyKey ?? ''}`);
  const doubled = names.filter((name, i) => names.indexOf(name) !== i).map((name) => broken(name, 'has two rents'));
  const orphans = leases.filter(({ rentId }) => !rents.some(({ id }) => id === rentId)).map(({ id }) => broken(`lease ${id}`, 'belongs to no rent'));
  return [...lost, ...different, ...doubled, ...orphans];
};
