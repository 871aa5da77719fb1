import { groupBy, type Invariant, RUNNING, violationOf } from '../evidence';

const broken = violationOf('I1');

/** A node has at most one occupying lease, now and at any time: from its claim to its verified wipe a placement has the node for itself. */
export const oneLeaseANode: Invariant = ({ tables: { leases, nodes, placements } }) => {
  const occupying = groupBy(
    leases.filter(({ occupiedNodeId }) => occupiedNodeId !== null),
    ({ occupiedNodeId }) => occupiedNodeId ?? 0,
  );
  const twice = [...occupying]
    .filter(([, those]) => those.length > 1)
    .map(([nodeId, those]) => broken(`node ${nodeId}`, `leases ${those.map(({ id }) => id).join(', ')} occupy it at once`));
  const mirror = nodes
    .filter(({ id, leaseId }) => (occupying.get(id)?.[0]?.id ?? null) !== leaseId)
    .map(({ id, leaseId }) =>
      broken(`node ${id}`, `says that lease ${leaseId} is on it, but the leases say ${occupying.get(id)?.[0]?.id ?? 'none'}`),
    );
  const states = leases
    .filter(({ state, occupiedNodeId }) => RUNNING.has(state) !== (occupiedNodeId !== null))
    .map(({ id, state, occupiedNodeId }) => broken(`lease ${id}`, `is ${state} and holds node ${occupiedNodeId}`));
  const overlaps = [...groupBy(placements, ({ nodeId }) => nodeId)].flatMap(([nodeId, those]) => {
    const inOrder = [...those].sort((a, b) => a.createdAt - b.createdAt || a.id - b.id);
    return inOrder.slice(1).flatMap((next, i) => {
      const before = inOrder[i];
      return before && (before.wipedAt ?? Infinity) > next.createdAt
        ? [broken(`node ${nodeId}`, `placement ${next.id} began before placement ${before.id} was wiped`)]
        : [];
    });
  });
  return [...twice, ...mirror, ...states, ...overlaps];
};
