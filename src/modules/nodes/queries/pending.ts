import { execute, selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import type { AddressRange } from '../../../lib/address-key';
import { nodeState } from '../moves';

/**
 * Counts the machines that wait for approval: all of them, and the ones that enrolled from each of the ranges. Other transactions that
 * count wait until this one ends, so that two of them cannot exceed the limit together.
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
  /** A machine whose agent sends no heartbeat for this long no longer waits. */
  silentSeconds: number;
  /** The longest time that a machine waits. */
  waitSeconds: number;
}

/**
 * Lists the ids of up to `limit` machines that have waited for approval for too long, or whose agents were silent for too long. An outage
 * of the control plane does not count as silence.
 */
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

/**
 * Deletes a locked machine that was never approved. Nothing was ever done on it. Its events stay. The caller must delete its tunnel first.
 */
export async function removePending(tx: Tx, nodeId: number): Promise<void> {
  await execute(tx, 'DELETE FROM heartbeats WHERE node_id = ?', [nodeId]);
  await execute(tx, FORGET, [nodeId]);
}
