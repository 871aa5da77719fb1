import type { Batch, Tx } from '../../db/transaction';
import type { Clock } from '../../lib/clock';
import { zip } from '../../lib/zip';
import { type ClaimedNode, fitOf, type FreeNodesSearch, lockReliableNodes, type Position, type Requirements, withFlapped } from '../../modules/nodes';
import type { Take, Wish } from './decide-group';

export interface Pools {
  /** Locks nodes for these wishes, as many as all of them want, by one statement for each kind of wish. */
  look(batch: Batch, wishes: Wish[]): Promise<Fill>;
}

/** Locks the nodes that the first look did not find. The result hands the nodes out, each once. */
type Fill = (tx: Tx) => Promise<Take>;

/** Where the last group left off among the nodes that one kind of wish can have. */
interface Sweep {
  after: Position;
  endsAtMs: number;
}

const SWEEP_MS = 1_000;
/** A sweep lasts at least this many times what its beginning took, so that a twentieth of the time goes on beginnings, … */
const BEGINNINGS = 20;
/** … and at most this long: while it lasts nobody sees what was freed behind it, and a beginning may have taken long for other reasons. */
const MAX_SWEEP_MS = 60_000;

/** A search for one kind of wish. */
interface Search extends FreeNodesSearch {
  startedAtMs: number;
  /** Begins a sweep, or goes on with one. */
  isSweep: boolean;
  /** The sweep that it goes on with. */
  sweep: Sweep | undefined;
}

/**
 * Free nodes by what is asked for. Groups that follow each other go on where the last one left off, for a second or so: claimed nodes leave dead
 * entries at the head of the index, which stay there as long as anybody has an old read view open, and each claim would walk over all of them. A
 * wish that comes alone is looked for from the start, and so gets the best there is.
 */
export function createPools(clock: Clock): Pools {
  const sweeps = new Map<string, Sweep>();

  const searchFor = (wanted: Requirements, limit: number, isSweep: boolean): Search => {
    const sweep = isSweep ? sweeps.get(nameOf(wanted)) : undefined;
    return { wanted, limit, after: sweep?.after ?? null, startedAtMs: clock.monotonicMs(), isSweep, sweep };
  };
  /** Adds to the nodes that the first statement of a search found. A sweep that found too few begins again at the start. */
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
      sweeps.set(nameOf(search.wanted), { after: placeOf(last), endsAtMs: now + Math.min(MAX_SWEEP_MS, Math.max(SWEEP_MS, BEGINNINGS * (now - search.startedAtMs))) });
    }
    return nodes;
  };

  return {
    look: async (batch, wishes) => {
      forgetEnded(sweeps, clock.monotonicMs());
      const search = ({ requirements, count }: Wish): Search => searchFor(requirements, count, wishes.length > 1 && count > 1);
      // Nodes that were locked for another kind of wish may come again, and are not free for two.
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

/** Hands the nodes of the pools out, each once; `pour` locks more of a kind, and replaces its pool. */
function handOut(pools: Map<string, Pool>, pour: (wish: Wish) => Promise<Pool>): Take {
  const lockedSoFar = (): number => [...pools.values()].reduce((sum, { nodes }) => sum + nodes.length, 0);
  const taken = new Set<number>();
  return async (wish) => {
    const pool = pools.get(nameOf(wish.requirements)) ?? NO_POOL;
    const nodes = pick(pool, wish.count, taken) ?? (pool.isAll ? null : pick(await pour({ ...wish, count: wish.count + lockedSoFar() }), wish.count, taken));
    nodes?.forEach(({ id }) => taken.add(id));
    return nodes;
  };
}

const placeOf = (node: ClaimedNode): Position => ({ fit: fitOf(node), band: node.useBand, id: node.id });

/** Locked nodes, the best first; `isAll`: there are no more to be had. */
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

/** Equal wishes by their name, added up. */
export function sumUp(wishes: Wish[]): Map<string, Wish> {
  const sums = new Map<string, Wish>();
  for (const { requirements, count } of wishes) {
    const name = nameOf(requirements);
    sums.set(name, { requirements, count: count + (sums.get(name)?.count ?? 0) });
  }
  return sums;
}

export const nameOf = ({ cpus, memoryMb, labels }: Requirements): string => JSON.stringify([cpus, memoryMb, Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))]);
