import { groupBy, type Invariant, RUNNING, violationOf } from '../evidence';

const broken = violationOf('I2');

/**
 * A running lease has exactly one current placement, the newest; generations go 1, 2, 3 and are made in that order; no uid comes twice on a
 * node.
 */
export const oneCurrentPlacement: Invariant = ({ tables: { leases, placements } }) => {
  const ofLease = groupBy(placements, ({ leaseId }) => leaseId);
  const perLease = leases.flatMap((lease) => {
    const those = [...(ofLease.get(lease.id) ?? [])].sort((a, b) => a.generation - b.generation);
    const current = those.filter(({ currentLeaseId }) => currentLeaseId !== null);
    const where = `lease ${lease.id}`;
    return [
      ...(current.length === (RUNNING.has(lease.state) ? 1 : 0)
        ? []
        : [broken(where, `is ${lease.state} and has ${current.length} current placements`)]),
      ...current
        .filter(({ generation }) => generation !== lease.generation)
        .map(({ generation }) => broken(where, `is at generation ${lease.generation}, its current placement at ${generation}`)),
      ...(those.every(({ generation }, i) => generation === i + 1)
        ? []
        : [broken(where, `has generations ${those.map(({ generation }) => generation).join(', ')}`)]),
      ...those
        .slice(1)
        .filter(({ createdAt }, i) => createdAt < (those[i]?.createdAt ?? 0))
        .map(({ generation }) => broken(where, `generation ${generation} is older than the one before`)),
      ...current
        .filter(({ nodeId }) => nodeId !== lease.occupiedNodeId)
        .map(({ nodeId }) => broken(where, `occupies node ${lease.occupiedNodeId}, but its current placement is on ${nodeId}`)),
    ];
  });
  const uids = [...groupBy(placements, ({ nodeId }) => nodeId)].flatMap(([nodeId, those]) =>
    [...groupBy(those, ({ uid }) => uid)]
      .filter(([, same]) => same.length > 1)
      .map(([uid]) => broken(`node ${nodeId}`, `uid ${uid} was used twice`)),
  );
  return [...perLease, ...uids];
};
