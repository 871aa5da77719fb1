import { execute, selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import type { AddressRange } from '../../../lib/address-key';
import { nodeState } from '../moves';

/**
 * How many machines wait for approval: all, and those that enrolled from each of the ranges. Until the transaction ends, every other one that counts waits,
 * so that none is admitted beside the limit.
 */
export async function countPending(tx: Tx, ranges: AddressRange[]): Promise<{ all: number; from: number[] }> {
  await execute(tx, 'UPDATE pending_gate SET passed = passed + 1 WHERE id = 1');
  // The key of a wide range is a prefix of the keys of the narrow ones in it. An IPv4 address has one range.
  const patterns = ranges.map(({ key }, i) => (i === 0 ? key : `${key}%`));
  const row = await selectFirst<Record<string, string | number | null>>(
    tx,
    `SELECT COUNT(*) AS total${patterns.map((_, i) => `, SUM(enrolled_from LIKE ?) AS range${i}`).join('')} FROM nodes WHERE status = 'pending'`,
    patterns,
  );
  return { all: Number(row?.['total'] ?? 0), from: patterns.map((_, i) => Number(row?.[`range${i}`] ?? 0)) };
}

export interface PendingLimits {
  /** Without a call of the agent for so long a machine waits no longer. */
  silentSeconds: number;
  /** No machine waits for longer. */
  waitSeconds: number;
}

/** Ids of up to `limit` machines that have waited for approval for too long or in silence. While the control plane was away nobody could call. */
export async function listStalePending(db: Db, { silentSeconds, waitSeconds }: PendingLimits, limit: number): Promise<number[]> {
  const rows = await selectRows<{ id: number }>(
    db,
    `SELECT n.id FROM nodes n JOIN control_plane c ON c.id = 1 LEFT JOIN heartbeats h ON h.node_id = n.id
      WHERE n.status = 'pending' AND (n.created_at < UTC_TIMESTAMP(3) - INTERVAL ? SECOND
        OR GREATEST(COALESCE(h.last_heartbeat_at, n.registered_at), n.registered_at, c.judged_since) < UTC_TIMESTAMP(3) - INTERVAL ? SECOND)
      LIMIT ?`,
    [waitSeconds, silentSeconds, limit],
  );
  return rows.map(({ id }) => id);
}

const FORGET = nodeState.remove('forget', 'id = ?');

/** Deletes a locked machine that was never approved: nothing was ever done on it. Its events stay. Its tunnel has to be gone before. */
export async function removePending(tx: Tx, nodeId: number): Promise<void> {
  await execute(tx, 'DELETE FROM heartbeats WHERE node_id = ?', [nodeId]);
  await execute(tx, FORGET, [nodeId]);
}
