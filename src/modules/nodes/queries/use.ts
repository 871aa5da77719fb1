import { execute, marks, selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import type { Use, UseBand } from '../use';

export type NodeUse = Use & { nodeId: number };

interface UseRow {
  id: number;
  cpus: number;
  memory_mb: number;
  use_band: UseBand;
  disk_mb: string | null;
  load1: number | null;
  memory_free_mb: number | null;
  disk_free_mb: number | null;
}

/** Reads the vitals that heartbeats last reported of these nodes, and the bands that were judged last. */
export async function listUses(db: Db, nodeIds: number[]): Promise<NodeUse[]> {
  const rows = await selectRows<UseRow>(
    db,
    `SELECT n.id, n.cpus, n.memory_mb, n.use_band, JSON_VALUE(n.facts, '$.disk_mb') AS disk_mb, h.load1, h.memory_free_mb, h.disk_free_mb
       FROM nodes n JOIN heartbeats h ON h.node_id = n.id WHERE n.id IN (${marks(nodeIds)})`,
    nodeIds,
  );
  return rows.map((row) => ({
    nodeId: row.id,
    cpus: row.cpus,
    memoryMb: row.memory_mb,
    diskMb: row.disk_mb === null ? undefined : Number(row.disk_mb),
    load1: row.load1 ?? undefined,
    memoryFreeMb: row.memory_free_mb ?? undefined,
    diskFreeMb: row.disk_free_mb ?? undefined,
    before: row.use_band,
  }));
}

/** Writes a band, unless the band changed meanwhile. It waits for no lock. False: another transaction has locked the node. */
export async function setUseBand(tx: Tx, { nodeId, before }: Pick<NodeUse, 'nodeId' | 'before'>, band: UseBand): Promise<boolean> {
  if (!(await selectFirst(tx, 'SELECT id FROM nodes WHERE id = ? FOR UPDATE SKIP LOCKED', [nodeId]))) {
    return false;
  }
  await execute(tx, 'UPDATE nodes SET use_band = ? WHERE id = ? AND use_band = ?', [band, nodeId, before]);
  return true;
}
