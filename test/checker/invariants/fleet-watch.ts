import type { EventRecord } from '../evidence';

/** Follows the health of the whole fleet through the events, in their order. */
export interface FleetWatch {
  note(event: EventRecord): void;
  /** Since when more nodes fail than are well, three at least; null when it is not so. */
  mostFailSince(): number | null;
}

/** Deaths older than this are history; the product's own limit is five minutes, so that nothing is held against it that it did not see. */
const RECENT_MS = 4 * 60_000;
const MIN_FAILING = 3;

const HEALTH = new Map<string, 'well' | 'failing' | null>([
  ['node.alive', 'well'],
  ['node.suspect', 'failing'],
  ['node.dead', 'failing'],
  ['node.registered', null],
  ['node.quarantined', null],
  ['node.retired', null],
  ['node.approved', null],
]);

export function createFleetWatch(): FleetWatch {
  const well = new Set<number>();
  const failing = new Set<number>();
  const deaths: EventRecord[] = [];
  /** For each node the event that its present health comes from. */
  const latest = new Map<number, EventRecord>();
  let forgotten = 0;
  let since: number | null = null;

  const forget = (now: number): void => {
    for (let death = deaths[forgotten]; death && death.at < now - RECENT_MS; death = deaths[(forgotten += 1)]) {
      if (death.nodeId !== null && latest.get(death.nodeId) === death) {
        failing.delete(death.nodeId);
      }
    }
  };
  return {
    mostFailSince: () => since,
    note: (event) => {
      const health = HEALTH.get(event.type);
      if (event.nodeId !== null && health !== undefined) {
        latest.set(event.nodeId, event);
        well.delete(event.nodeId);
        failing.delete(event.nodeId);
        if (health !== null) {
          (health === 'well' ? well : failing).add(event.nodeId);
        }
        if (event.type === 'node.dead') {
          deaths.push(event);
        }
      }
      forget(event.at);
      const most = failing.size >= MIN_FAILING && failing.size > well.size;
      since = most ? (since ?? event.at) : null;
    },
  };
}
