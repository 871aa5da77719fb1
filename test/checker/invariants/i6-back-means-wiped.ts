import { groupBy, type Invariant, violationOf } from '../evidence';

const broken = violationOf('I6');

const AWAY = new Set(['node.dead', 'node.registered', 'node.quarantined', 'node.approved']);

/** Between a node's absence and the next placement on it lies a verified wipe. */
export const backMeansWiped: Invariant = ({ tables: { events, placements } }) => {
  const ofNode = groupBy(events.filter(({ nodeId }) => nodeId !== null), ({ nodeId }) => nodeId ?? 0);
  return placements.flatMap(({ id, nodeId, createdAt }) => {
    const before = (ofNode.get(nodeId) ?? []).filter(({ at }) => at < createdAt).sort((a, b) => a.id - b.id);
    const away = before.findLast(({ type }) => AWAY.has(type));
    const wiped = before.findLast(({ type }) => type === 'node.wiped');
    return away && (!wiped || wiped.id < away.id) ? [broken(`node ${nodeId}`, `placement ${id} was made after ${away.type} without a wipe in between`)] : [];
  });
};
