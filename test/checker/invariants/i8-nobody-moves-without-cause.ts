import { groupBy, type Invariant, violationOf } from '../evidence';

const broken = violationOf('I8');

/** What justifies a move away from a node, since the node was last well. */
const CAUSES = new Set(['node.dead', 'node.quarantined', 'node.retired', 'node.drained', 'node.leaving', 'placement.failed']);
const WELL = new Set(['node.alive', 'node.undrained', 'node.wiped']);

/** Every move has a cause on the node that it left, and none happens while the brake is on. */
export const nobodyMovesWithoutCause: Invariant = ({ tables: { events } }) => {
  const ofNode = groupBy(events.filter(({ nodeId }) => nodeId !== null), ({ nodeId }) => nodeId ?? 0);
  const inOrder = [...events].sort((a, b) => a.id - b.id);
  return inOrder
    .filter(({ type }) => type === 'lease.moved')
    .flatMap((move) => {
      const from = Number(move.data['from_node']);
      const before = (ofNode.get(from) ?? []).filter(({ id }) => id < move.id).sort((a, b) => a.id - b.id);
      const cause = before.findLast(({ type }) => CAUSES.has(type));
      const well = before.findLast(({ type }) => WELL.has(type));
      const brake = inOrder.findLast(({ id, type }) => id < move.id && type.startsWith('fleet.brake'));
      const where = `lease ${move.leaseId}`;
      return [
        ...(cause && (!well || well.id < cause.id) ? [] : [broken(where, `was moved off node ${from}, which was well`)]),
        ...(brake?.type === 'fleet.brake_on' && cause?.type === 'node.dead' ? [broken(where, 'was moved while the brake was on')] : []),
      ];
    });
};
