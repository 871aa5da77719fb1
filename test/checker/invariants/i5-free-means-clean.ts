import { groupBy, type Invariant, violationOf } from '../evidence';

const broken = violationOf('I5');

/**
 * A node that could be leased is alive, wanted, clean: every placement that it ever had is wiped, and its last wipe was verified after the
 * last of them.
 */
export const freeMeansClean: Invariant = ({ tables: { nodes, placements } }) => {
  const onNode = groupBy(placements, ({ nodeId }) => nodeId);
  return nodes
    .filter(({ leasable }) => leasable)
    .flatMap((node) => {
      const where = `node ${node.id}`;
      const those = onNode.get(node.id) ?? [];
      const flags = node.status !== 'alive' || node.drained || node.dirty || node.leaseId !== null;
      return [
        ...(flags
          ? [broken(where, `is free while ${node.status}, drained ${node.drained}, dirty ${node.dirty}, lease ${node.leaseId}`)]
          : []),
        ...those
          .filter(({ state }) => state !== 'wiped')
          .map(({ id, state }) => broken(where, `is free while placement ${id} on it is ${state}`)),
        ...(node.wipedAt === null ? [broken(where, 'is free and was never wiped')] : []),
        ...those
          .filter(({ createdAt }) => node.wipedAt !== null && node.wipedAt < createdAt)
          .map(({ id }) => broken(where, `is free, its last wipe is older than placement ${id}`)),
      ];
    });
};
