import { execute, selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import { nodeState } from '../moves';

export interface SilenceSearch {
  /** Looks at agents of nodes with a higher id: 0, or where the last look ended. */
  after: number;
  /** How many agents it looks at. */
  span: number;
  /** How many nodes become suspect at most. */
  limit: number;
}

export interface Silence {
  /** Their ids. */
  suspected: number[];
  /** Where the next look goes on; 0: this one came to the end. */
  next: number;
}

const SUSPECT = nodeState.update('suspect', {
  set: "status_reason = 'its agent is silent', status_since = UTC_TIMESTAMP(3), probe_due_at = IF(probe_token IS NULL, UTC_TIMESTAMP(3), probe_due_at)",
  where: 'id = ?',
});

/**
 * Nodes whose agent has been silent for longer than its last call allowed become suspect and due for a probe; once per silence, since a node that can
 * then be logged in to is alive although its agent is not. Silence from before the control plane's own outage does not count.
 * It looks at a stretch of the fleet at a time: when a call is due is written with each call, and an index of it would cost each call more than these looks.
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

/** The last node of a stretch; null: fewer are left. */
async function endOfStretch(db: Db, after: number, span: number): Promise<number | null> {
  const row = await selectFirst<{ node_id: number }>(db, 'SELECT node_id FROM heartbeats WHERE node_id > ? ORDER BY node_id LIMIT 1 OFFSET ?', [after, span - 1]);
  return row?.node_id ?? null;
}
