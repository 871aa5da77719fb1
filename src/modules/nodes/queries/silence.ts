import { execute, selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import { nodeState } from '../moves';

export interface SilenceSearch {
  /** Checks agents of nodes with a higher id: 0, or the `next` of the last call. */
  after: number;
  /** How many agents to check. */
  span: number;
  /** Maximum number of nodes that become suspect. */
  limit: number;
}

export interface Silence {
  /** Ids of the nodes that became suspect. */
  suspected: number[];
  /** The `after` of the next call; 0: this call reached the end of the fleet. */
  next: number;
}

const SUSPECT = nodeState.update('suspect', {
  set: "status_reason = 'its agent is silent', status_since = UTC_TIMESTAMP(3), probe_due_at = IF(probe_token IS NULL, UTC_TIMESTAMP(3), probe_due_at)",
  where: 'id = ?',
});

/**
 * Finds nodes whose agent has been silent for longer than its heartbeat schedule allowed, and makes them suspect and due for a probe. This
 * happens once per silence: a node that a probe can then log in to is alive although its agent is not. Silence from before the control
 * plane's own outage does not count.
 *
 * Each call checks one stretch of the fleet. Each heartbeat writes `silent_at`, and an index on it would cost each heartbeat more than
 * these scans.
 */
export async function suspectSilentNodes(tx: Tx, { after, span, limit }: SilenceSearch): Promise<Silence> {
  const end = await endOfStretch(tx, after, span);
  const rows = await selectRows<{ id: number }>(
    tx,
    `SELECT n.id FROM heartbeats h STRAIGHT_JOIN nodes n ON n.id = h.node_id JOIN control_plane c ON c.id = 1
      WHERE h.node_id > ? ${end === null ? '' : 'AND h.node_id <= ?'} AND h.silent_at < UTC_TIMESTAMP(3) AND n.status = 'alive'
        AND TIMESTAMPADD(MICROSECOND, TIMESTAMPDIFF(MICROSECOND, h.last_heartbeat_at, h.silent_at), c.judged_since) < UTC_TIMESTAMP(3)
        AND (n.logged_in_at IS NULL OR n.logged_in_at < h.silent_at)
      ORDER BY h.node_id LIMIT ?`,
    [after, ...(end === null ? [] : [end]), limit],
  );
  const suspected: number[] = [];
  for (const { id } of rows) {
    if ((await execute(tx, SUSPECT, [id])) === 1) {
      suspected.push(id);
    }
  }
  return { suspected, next: rows.at(limit - 1)?.id ?? end ?? 0 };
}

/** Returns the last node of a stretch; null: fewer nodes are left. */
async function endOfStretch(db: Db, after: number, span: number): Promise<number | null> {
  const row = await selectFirst<{ node_id: number }>(
    db,
    'SELECT node_id FROM heartbeats WHERE node_id > ? ORDER BY node_id LIMIT 1 OFFSET ?',
    [after, span - 1],
  );
  return row?.node_id ?? null;
}
