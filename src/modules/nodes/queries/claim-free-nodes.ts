import { fromJson, selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import { type Candidate, rankCandidates } from '../choose';
import type { Labels, Requirements } from '../types';
import type { UseBand } from '../use';
import { CLAIMED_COLUMNS, type ClaimedNode, type ClaimedRow, toClaimedNode } from './claimed-row';
import { LEASABLE, requirementsSql } from './requirements';

/** How many free nodes are ranked at a time: enough to choose well, few enough to stay cheap at 100,000 nodes. */
const CANDIDATES = 64;

export type FreeNodes =
  | { found: 'enough'; nodes: ClaimedNode[] }
  /** Fewer are free than wanted. */
  | { found: 'too_few' }
  /** Enough are free, but others are claiming them this very moment: ask again. */
  | { found: 'busy' };

/**
 * The claim: locks `count` free nodes that satisfy `wanted` for this transaction, the best first (see rankCandidates), without ever
 * waiting for a row that another transaction holds. The caller must make them occupied (occupyNode) in the same transaction.
 */
export async function claimFreeNodes(tx: Tx, wanted: Requirements, count: number): Promise<FreeNodes> {
  const candidates = await listCandidates(tx, wanted, CANDIDATES + count);
  if (candidates.length < count) {
    return { found: 'too_few' };
  }
  const nodes: ClaimedNode[] = [];
  for (const candidate of rankCandidates(candidates, wanted, Math.random)) {
    const node = await lockFreeNode(tx, candidate.id);
    if (node) {
      nodes.push(node);
    }
    if (nodes.length === count) {
      return { found: 'enough', nodes };
    }
  }
  return { found: 'busy' };
}

async function lockFreeNode(tx: Tx, id: number): Promise<ClaimedNode | undefined> {
  const row = await selectFirst<ClaimedRow>(tx, `SELECT ${CLAIMED_COLUMNS} FROM nodes WHERE id = ? AND ${LEASABLE} FOR UPDATE SKIP LOCKED`, [id]);
  return row && toClaimedNode(row);
}

interface CandidateRow {
  id: number;
  cpus: number;
  memory_mb: number;
  labels: unknown;
  use_band: UseBand;
  flapped: number;
}

async function listCandidates(db: Db, wanted: Requirements, limit: number): Promise<Candidate[]> {
  const { sql, bindings } = requirementsSql(wanted);
  const rows = await selectRows<CandidateRow>(
    db,
    `SELECT id, cpus, memory_mb, labels, use_band, COALESCE(last_death_at > UTC_TIMESTAMP(3) - INTERVAL 1 HOUR, 0) AS flapped
       FROM nodes FORCE INDEX (nodes_claim) WHERE ${LEASABLE} AND ${sql} ORDER BY fit, use_band, id LIMIT ?`,
    [...bindings, limit],
  );
  return rows.map((row) => ({
    id: row.id,
    cpus: row.cpus,
    memoryMb: row.memory_mb,
    labels: fromJson<Labels>(row.labels),
    useBand: row.use_band,
    flappedLately: row.flapped === 1,
  }));
}

/** True when some enrolled node, free or not, could ever satisfy this: tells "come back later" from "ask for less". */
export async function couldEverSatisfy(db: Db, wanted: Requirements, count: number): Promise<boolean> {
  const { sql, bindings } = requirementsSql(wanted);
  const rows = await selectRows(
    db,
    `SELECT id FROM nodes WHERE status IN ('unknown','alive','suspect','dead') AND drained = 0 AND ${sql} LIMIT ?`,
    [...bindings, count],
  );
  return rows.length >= count;
}

export interface NodesInUse {
  /** When the next lease ends, or null when none runs. */
  nextEndAt: Date | null;
  /** Seconds until then, at least 1. */
  retryAfterSeconds: number;
}

const DEFAULT_RETRY_SECONDS = 30;
const OCCUPYING = ['provisioning', 'active', 'migrating'];

/** What a caller who found nothing free can wait for. */
export async function findNextEnd(db: Db): Promise<NodesInUse> {
  // The first of each state, by the index: over all three at once the server would look at every running lease.
  const firsts = OCCUPYING.map((state) => `(SELECT ends_at FROM leases WHERE state = '${state}' AND ends_at > UTC_TIMESTAMP(3) ORDER BY ends_at LIMIT 1)`);
  const row = await selectFirst<{ ends_at: Date | null; seconds: string | number | null }>(
    db,
    `SELECT MIN(ends_at) AS ends_at, CEIL(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), MIN(ends_at)) / 1000000) AS seconds FROM (${firsts.join(' UNION ALL ')}) AS next`,
  );
  const seconds = Number(row?.seconds ?? DEFAULT_RETRY_SECONDS);
  return { nextEndAt: row?.ends_at ?? null, retryAfterSeconds: Math.max(1, seconds) };
}
