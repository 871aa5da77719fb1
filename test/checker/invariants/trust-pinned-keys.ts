import { type Invariant, violationOf } from '../evidence';

const broken = violationOf('trust');

/** A machine that shows another key than the pinned one is not the machine that enrolled: no login that came later calls it alive. */
export const pinnedKeys: Invariant = ({ tables: { nodes }, hostKeys = [] }) => {
  const nodeOf = new Map(nodes.map((node) => [node.id, node]));
  return hostKeys.flatMap(({ nodeId, at, hostKey }) => {
    const node = nodeOf.get(nodeId);
    const accepted = node?.status === 'alive' && node.hostKey !== hostKey && (node.loggedInAt ?? 0) > at;
    return accepted
      ? [broken(`node ${nodeId}`, 'shows another host key than the pinned one, was logged in to since, and counts as alive')]
      : [];
  });
};
