import { type EventRecord, type Invariant, type Violation, violationOf } from '../evidence';

const broken = violationOf('I8');

/** What justifies a move away from a node, since the node was last well. */
const CAUSES = new Set(['node.dead', 'node.quarantined', 'node.retired', 'node.drained', 'node.leaving', 'placement.failed']);
const WELL = new Set(['node.alive', 'node.undrained', 'node.wiped']);

/** Every move has a cause on the node that it left, and none happens while the brake is on. */
export const nobodyMovesWithoutCause: Invariant = ({ tables: { events } }) => {
  const last = new Map<number, { cause?: EventRecord; well?: EventRecord }>();
  let braked = false;
  return [...events].sort((a, b) => a.id - b.id).flatMap((event) => {
    if (event.type.startsWith('fleet.brake')) {
      braked = event.type === 'fleet.brake_on';
    }
    if (event.type === 'lease.moved') {
      return judge(event, last.get(Number(event.data['from_node'])) ?? {}, braked);
    }
    if (event.nodeId !== null && (CAUSES.has(event.type) || WELL.has(event.type))) {
      last.set(event.nodeId, { ...last.get(event.nodeId), [CAUSES.has(event.type) ? 'cause' : 'well']: event });
    }
    return [];
  });
};

function judge({ leaseId, data }: EventRecord, { cause, well }: { cause?: EventRecord; well?: EventRecord }, braked: boolean): Violation[] {
  const where = `lease ${leaseId}`;
  return [
    ...(cause && (!well || well.id < cause.id) ? [] : [broken(where, `was moved off node ${Number(data['from_node'])}, which was well`)]),
    ...(braked && cause?.type === 'node.dead' ? [broken(where, 'was moved while the brake was on')] : []),
  ];
}
