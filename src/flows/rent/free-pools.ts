import type { Tx } from '../../db/transaction';
import type { Clock } from '../../lib/clock';
import { type ClaimedNode, fitOf, lockFreeNodes, type Position, type Requirements } from '../../modules/nodes';
import type { Take, Wish } from './decide-group';

export interface Pools {
  /** Locks nodes for these wishes, as many as all of them want, and hands them out, each once. */
  fill(tx: Tx, wishes: Wish[]): Promise<Take>;
}

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

/**
 * Free nodes by what is asked for. Groups that follow each other go on where the last one left off, for a second or so: claimed nodes leave dead
 * entries at the head of the index, which stay there as long as anybody has an old read view open, and each claim would walk over all of them. A
 * wish that comes alone is looked for from the start, and so gets the best there is.
 */
export function createPools(clock: Clock): Pools {
  const sweeps = new Map<string, Sweep>();

  const fromStart = (tx: Tx, wanted: Requirements, limit: number): Promise<ClaimedNode[]> => lockFreeNodes(tx, { wanted, limit, after: null });
  const onSweep = async (tx: Tx, wanted: Requirements, limit: number): Promise<ClaimedNode[]> => {
    const name = nameOf(wanted);
    const sweep = sweeps.get(name);
    const behind = sweep ? await lockFreeNodes(tx, { wanted, limit, after: sweep.after }) : [];
    const end = behind.at(limit - 1);
    if (sweep && end) {
      sweep.after = placeOf(end);
      return behind;
    }
    const startedAtMs = clock.monotonicMs();
    const nodes = await fromStart(tx, wanted, limit);
    const last = nodes.at(-1);
    if (last) {
      const now = clock.monotonicMs();
      sweeps.set(name, { after: placeOf(last), endsAtMs: now + Math.min(MAX_SWEEP_MS, Math.max(SWEEP_MS, BEGINNINGS * (now - startedAtMs))) });
    }
    return nodes;
  };

  return {
    fill: async (tx, wishes) => {
      forgetEnded(sweeps, clock.monotonicMs());
      const pools = new Map<string, Pool>();
      const pour = async (requirements: Requirements, limit: number): Promise<Pool> => {
        const nodes = await (wishes.length > 1 && limit > 1 ? onSweep : fromStart)(tx, requirements, limit);
        const pool = { nodes, isAll: nodes.length < limit };
        pools.set(nameOf(requirements), pool);
        return pool;
      };
      // Those that were locked for others before may come again, and are not free for two.
      let wanted = 0;
      await Promise.all([...sumUp(wishes).values()].map(({ requirements, count }) => pour(requirements, (wanted += count))));
      const lockedSoFar = (): number => [...pools.values()].reduce((sum, { nodes }) => sum + nodes.length, 0);
      const taken = new Set<number>();
      return async (wish) => {
        const pool = pools.get(nameOf(wish.requirements)) ?? NO_POOL;
        const nodes = pick(pool, wish.count, taken) ?? (pool.isAll ? null : pick(await pour(wish.requirements, wish.count + lockedSoFar()), wish.count, taken));
        nodes?.forEach(({ id }) => taken.add(id));
        return nodes;
      };
    },
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
