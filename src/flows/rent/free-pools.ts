import type { Batch, Tx } from '../../db/transaction';
import type { Clock } from '../../lib/clock';
import { zip } from '../../lib/zip';
import {
  type ClaimedNode,
  fitOf,
  type FreeNodesSearch,
  lockReliableNodes,
  type Position,
  type Requirements,
  withFlapped,
} from '../../modules/nodes';
import type { Take, Wish } from './decide-batch';

export interface Pools {
  /** Locks as many nodes as all these requests want, in one statement for each set of requirements. */
  look(batch: Batch, wishes: Wish[]): Promise<Fill>;
}

/** Locks the nodes that the first statement did not find. The result allocates the nodes, each once. */
type Fill = (tx: Tx) => Promise<Take>;

/** The position at which the last batch stopped, among the nodes that fit one set of requirements. */
interface Sweep {
  after: Position;
  endsAtMs: number;
}

const SWEEP_MS = 1_000;
/** A sweep lasts at least this many times as long as its first search, so that first searches take a twentieth of the time, … */
const BEGINNINGS = 20;
/**
 * … and at most this long. Until it ends, no batch sees nodes freed behind its position, and a first search may be slow for other reasons.
 */
const MAX_SWEEP_MS = 60_000;

/** A search for one set of requirements. */
interface Search extends FreeNodesSearch {
  startedAtMs: number;
  /** Starts a sweep, or continues one. */
  isSweep: boolean;
  /** The sweep that it continues. */
  sweep: Sweep | undefined;
}

/**
 * Locked free nodes, by requirements. For about a second, each batch continues at the position where the last one stopped. The reason:
 * claimed nodes leave dead entries at the start of the index, which MariaDB keeps while any transaction has an old read view, and every
 * claim would read all of them. A request that is alone in its batch searches from the start, and so gets the best node.
 */
export function createPools(clock: Clock): Pools {
  const sweeps = new Map<string, Sweep>();

  const searchFor = (wanted: Requirements, limit: number, isSweep: boolean): Search => {
    const sweep = isSweep ? sweeps.get(nameOf(wanted)) : undefined;
    return { wanted, limit, after: sweep?.after ?? null, startedAtMs: clock.monotonicMs(), isSweep, sweep };
  };
  /**
   * Completes the nodes that the first statement of a search found. A sweep that found too few starts again at the beginning of the index.
   */
  const finish = async (tx: Tx, search: Search, found: ClaimedNode[]): Promise<ClaimedNode[]> => {
    if (search.sweep && found.length < search.limit) {
      const anew = { ...search, after: null, startedAtMs: clock.monotonicMs(), sweep: undefined };
      return finish(tx, anew, await lockReliableNodes(tx, anew));
    }
    const nodes = await withFlapped(tx, search, found);
    const last = nodes.at(-1);
    if (last && search.sweep) {
      search.sweep.after = placeOf(last);
    } else if (last && search.isSweep) {
      const now = clock.monotonicMs();
      sweeps.set(nameOf(search.wanted), {
        after: placeOf(last),
        endsAtMs: now + Math.min(MAX_SWEEP_MS, Math.max(SWEEP_MS, BEGINNINGS * (now - search.startedAtMs))),
      });
    }
    return nodes;
  };

  return {
    look: async (batch, wishes) => {
      forgetEnded(sweeps, clock.monotonicMs());
      const search = ({ requirements, count }: Wish): Search => searchFor(requirements, count, wishes.length > 1 && count > 1);
      // A statement may return nodes that an earlier one locked for other requirements. Each node serves one request, so the limits add up.
      let wanted = 0;
      const searches = [...sumUp(wishes).values()].map(({ requirements, count }) => search({ requirements, count: (wanted += count) }));
      const found = await Promise.all(searches.map((each) => lockReliableNodes(batch, each)));
      return async (tx) => {
        const pools = new Map<string, Pool>();
        const pour = async (from: Search, nodesFound: ClaimedNode[]): Promise<Pool> => {
          const nodes = await finish(tx, from, nodesFound);
          const pool = { nodes, isAll: nodes.length < from.limit };
          pools.set(nameOf(from.wanted), pool);
          return pool;
        };
        for (const [from, nodes] of zip(searches, found)) {
          await pour(from, nodes);
        }
        return handOut(pools, async (wish) => {
          const more = search(wish);
          return pour(more, await lockReliableNodes(tx, more));
        });
      };
    },
  };
}

/** Allocates the nodes of the pools, each once. `pour` locks more nodes for the same requirements and replaces their pool. */
function handOut(pools: Map<string, Pool>, pour: (wish: Wish) => Promise<Pool>): Take {
  const lockedSoFar = (): number => [...pools.values()].reduce((sum, { nodes }) => sum + nodes.length, 0);
  const taken = new Set<number>();
  return async (wish) => {
    const pool = pools.get(nameOf(wish.requirements)) ?? NO_POOL;
    const nodes =
      pick(pool, wish.count, taken) ??
      (pool.isAll ? null : pick(await pour({ ...wish, count: wish.count + lockedSoFar() }), wish.count, taken));
    nodes?.forEach(({ id }) => taken.add(id));
    return nodes;
  };
}

const placeOf = (node: ClaimedNode): Position => ({ fit: fitOf(node), band: node.useBand, id: node.id });

/** Locked nodes, the best first. `isAll`: no further node fits. */
interface Pool {
  nodes: ClaimedNode[];
  isAll: boolean;
}

const NO_POOL: Pool = { nodes: [], isAll: false };

function pick({ nodes }: Pool, count: number, taken: Set<number>): ClaimedNode[] | null {
  const picked: ClaimedNode[] = [];
  for (const node of nodes) {
    if (!taken.has(node.id) && picked.push(node) === count) {
      return picked;
    }
  }
  return null;
}

function forgetEnded(sweeps: Map<string, Sweep>, now: number): void {
  for (const [name, { endsAtMs }] of sweeps) {
    if (endsAtMs < now) {
      sweeps.delete(name);
    }
  }
}

/** Sums up the counts of requests with equal requirements, by `nameOf`. */
export function sumUp(wishes: Wish[]): Map<string, Wish> {
  const sums = new Map<string, Wish>();
  for (const { requirements, count } of wishes) {
    const name = nameOf(requirements);
    sums.set(name, { requirements, count: count + (sums.get(name)?.count ?? 0) });
  }
  return sums;
}

export const nameOf = ({ cpus, memoryMb, labels }: Requirements): string =>
  JSON.stringify([cpus, memoryMb, Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))]);
