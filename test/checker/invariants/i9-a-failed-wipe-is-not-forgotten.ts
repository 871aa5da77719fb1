import { type Invariant, violationOf } from '../evidence';

const broken = violationOf('I9');

/**
 * Whatever is still to be wiped is on a node that is dirty, and so is never leased; on a node that can be reached, a wipe is planned or
 * done.
 */
export const aFailedWipeIsNotForgotten: Invariant = ({ tables: { events, nodes, placements } }) => {
  const nodeOf = new Map(nodes.map((node) => [node.id, node]));
  const forgotten = placements
    .filter(({ state, nodeId }) => state === 'wiping' && nodeOf.get(nodeId)?.dirty !== true)
    .map(({ id, nodeId }) => broken(`node ${nodeId}`, `counts as clean while placement ${id} is still to be wiped`));
  const lastWipe = new Map<number | null, string>();
  [...events]
    .sort((a, b) => a.id - b.id)
    .filter(({ type }) => type === 'node.wiped' || type === 'node.wipe_failed')
    .forEach(({ nodeId, type }) => lastWipe.set(nodeId, type));
  const freed = nodes
    .filter(({ leasable }) => leasable)
    .flatMap(({ id }) => (lastWipe.get(id) === 'node.wipe_failed' ? [broken(`node ${id}`, 'is free although its last wipe failed')] : []));
  return [...forgotten, ...freed];
};
