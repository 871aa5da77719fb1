import { type EventRecord, type Invariant, type Tables, type Violation, violationOf } from '../evidence';
import { createFleetWatch } from './fleet-watch';

const broken = violationOf('I8');

/** What justifies a move away from a node, since the node was last well. */
const CAUSES = new Set(['node.dead', 'node.quarantined', 'node.retired', 'node.drained', 'node.leaving', 'placement.failed']);
const WELL = new Set(['node.alive', 'node.undrained', 'node.wiped']);

/**
 * For how long most of the fleet must have failed before a move is held against the breaker: between the look at the fleet and the move
 * lies a moment.
 */
const PLAIN_MS = 3_000;

/**
 * Every move has a cause on the node that it left; none happens while the breaker is open, or while it should be; deaths are judged over a
 * full window.
 */
export const nobodyMovesWithoutCause: Invariant = ({ tables }) => [...judgeMoves(tables.events), ...judgeDeaths(tables)];

function judgeMoves(events: EventRecord[]): Violation[] {
  const last = new Map<number, { cause?: EventRecord; well?: EventRecord }>();
  const fleet = createFleetWatch();
  /** A lease that was never used loses nothing by a move. */
  const used = new Set<number>();
  let isBreakerOpen = false;
  return [...events]
    .sort((a, b) => a.id - b.id)
    .flatMap((event) => {
      fleet.note(event);
      if (event.type === 'lease.active' && event.leaseId !== null) {
        used.add(event.leaseId);
      }
      if (event.type.startsWith('fleet.brake')) {
        isBreakerOpen = event.type === 'fleet.brake_on';
      }
      if (event.type === 'lease.moved') {
        const mostFailMs = fleet.mostFailSince() === null || !used.has(event.leaseId ?? 0) ? 0 : event.at - (fleet.mostFailSince() ?? 0);
        return judge(event, last.get(Number(event.data['from_node'])) ?? {}, { isBreakerOpen, mostFailMs });
      }
      if (event.nodeId !== null && (CAUSES.has(event.type) || WELL.has(event.type))) {
        last.set(event.nodeId, { ...last.get(event.nodeId), [CAUSES.has(event.type) ? 'cause' : 'well']: event });
      }
      return [];
    });
}

interface Fleet {
  isBreakerOpen: boolean;
  mostFailMs: number;
}

function judge(
  { leaseId, data }: EventRecord,
  { cause, well }: { cause?: EventRecord; well?: EventRecord },
  { isBreakerOpen, mostFailMs }: Fleet,
): Violation[] {
  const where = `lease ${leaseId}`;
  const offDead = cause?.type === 'node.dead';
  return [
    ...(cause && (!well || well.id < cause.id) ? [] : [broken(where, `was moved off node ${Number(data['from_node'])}, which was well`)]),
    ...(isBreakerOpen && offDead ? [broken(where, 'was moved while the breaker was open')] : []),
    ...(!isBreakerOpen && offDead && mostFailMs > PLAIN_MS
      ? [broken(where, `was moved when most of the fleet had failed for ${Math.round(mostFailMs / 1000)} s, and the breaker was closed`)]
      : []),
  ];
}

/** The decision and the outage may have been written at the same moment. */
const SAME_MOMENT_MS = 1_000;

/** After an outage of the control plane itself no failure from before it counts towards a death. */
const judgeDeaths = ({ nodes, controlPlane: { judgedSince } }: Tables): Violation[] =>
  nodes
    .filter(
      ({ status, firstFailedAt, lastDeathAt }) =>
        status === 'dead' && firstFailedAt !== null && firstFailedAt < judgedSince && (lastDeathAt ?? 0) > judgedSince + SAME_MOMENT_MS,
    )
    .map(({ id }) => broken(`node ${id}`, "was judged dead by failures from before the control plane's own outage"));
