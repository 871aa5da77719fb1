import { groupBy, type Invariant, type Operation, violationOf } from '../evidence';

const broken = violationOf('I3');

/** How often clients who wrote everything down can have had their way: once a key, and once for each request without one. */
const mostOf = (operations: Operation[]): number => new Set(operations.map(({ key }, i) => key ?? i)).size;

/**
 * An acknowledged lease is never lost nor another's to see, move or end, and one idempotency key is at most one rent and at most one
 * extension: whatever came back, or did not. Clients who wrote down anything wrote down all.
 */
export const acknowledgedIsKept: Invariant = ({ tables: { extensions, leases, rents }, history }) => {
  const known = new Map(leases.map((lease) => [lease.id, lease]));
  const acknowledged = history.filter(({ kind, outcome }) => kind === 'rent' && outcome === 'ok');
  const lost = acknowledged.flatMap((operation) =>
    operation.leases
      .filter(({ id }) => known.get(id)?.userId !== operation.userId)
      .map(({ id }) =>
        broken(`lease ${id}`, `was acknowledged to user ${operation.userId} and ${known.has(id) ? "is another's" : 'is gone'}`),
      ),
  );
  const anothers = history
    .filter(({ kind, outcome }) => kind !== 'rent' && outcome === 'ok')
    .flatMap(({ kind, userId, leases: got }) =>
      got
        .filter(({ id }) => known.get(id)?.userId !== userId)
        .map(({ id }) => broken(`lease ${id}`, `answered a ${kind} of user ${userId}, whose it is not`)),
    );
  const byKey = new Map<string, Set<string>>();
  for (const { userId, key, leases: got } of acknowledged.filter((operation) => operation.key !== null)) {
    const name = `user ${userId}, key ${key ?? ''}`;
    byKey.set(
      name,
      (byKey.get(name) ?? new Set<string>()).add(
        got
          .map(({ id }) => id)
          .sort((a, b) => a - b)
          .join(','),
      ),
    );
  }
  const different = [...byKey]
    .filter(([, answers]) => answers.size > 1)
    .map(([name, answers]) => broken(name, `stood for different leases: ${[...answers].join(' / ')}`));
  const names = rents
    .filter(({ idempotencyKey }) => idempotencyKey !== null)
    .map(({ userId, idempotencyKey }) => `user ${userId}, key ${idempotencyKey ?? ''}`);
  const doubled = [...countOf(names)].filter(([, count]) => count > 1).map(([name]) => broken(name, 'has two rents'));
  const rentIds = new Set(rents.map(({ id }) => id));
  const asked = groupBy(
    history.filter(({ kind }) => kind === 'rent'),
    ({ userId }) => userId,
  );
  const rented = groupBy(rents, ({ userId }) => userId);
  const tooMany = [...asked].flatMap(([userId, operations]) => {
    const had = rented.get(userId)?.length ?? 0;
    return had > mostOf(operations) ? [broken(`user ${userId}`, `has ${had} rents, but asked for ${mostOf(operations)} at most`)] : [];
  });
  const orders = groupBy(
    history.filter(({ kind }) => kind === 'extend'),
    ({ leaseId }) => leaseId ?? 0,
  );
  const extended = groupBy(extensions, ({ leaseId }) => leaseId);
  const tooLong = [...orders].flatMap(([leaseId, operations]) => {
    const had = extended.get(leaseId)?.length ?? 0;
    return had > mostOf(operations)
      ? [broken(`lease ${leaseId}`, `was extended ${had} times, asked for ${mostOf(operations)} times at most`)]
      : [];
  });
  const orphans = leases.filter(({ rentId }) => !rentIds.has(rentId)).map(({ id }) => broken(`lease ${id}`, 'belongs to no rent'));
  return [...lost, ...anothers, ...different, ...doubled, ...tooMany, ...tooLong, ...orphans];
};

function countOf(names: string[]): Map<string, number> {
  const counts = new Map<string, number>();
  names.forEach((name) => counts.set(name, (counts.get(name) ?? 0) + 1));
  return counts;
}
