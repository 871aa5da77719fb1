import { execute, IN_SECONDS, selectFirst, selectRows } from '../../../db/sql';
import type { Db } from '../../../db/transaction';
import type { NodeStatus, Vitals } from '../types';

/** The data of a node that the answer to its heartbeat needs. */
export interface Caller {
  nodeId: number;
  /** Key that authenticates the agent's requests and the answers to them. */
  credentialHash: string;
  hostKey: string;
  status: NodeStatus;
  /** The current accounts on the node. */
  accounts: { username: string; remainingSeconds: number }[];
}

interface CallerRow {
  id: number;
  credential_id: string;
  credential_hash: string;
  host_key: string;
  status: NodeStatus;
  username: string | null;
  remaining: string | number | null;
}

/**
 * Node ids by credential id, as one replica found them before. They are only a hint: the node's row is read first, at a third of the cost
 * of the index of credential ids. Each lookup checks that the row still has that credential.
 */
export type CallerHints = Map<string, number>;

const MAX_HINTS = 200_000;

/** Finds the nodes that have the credentials with these ids, by credential id, whatever their status. */
export async function listCallers(db: Db, keyIds: string[], hints: CallerHints): Promise<Map<string, Caller>> {
  const hinted = keyIds.flatMap((id) => hints.get(id) ?? []);
  const rows = hinted.length > 0 ? await selectCallers(db, 'n.id', hinted) : [];
  const found = new Set(rows.map((row) => row.credential_id));
  const others = keyIds.filter((id) => !found.has(id));
  rows.push(...(others.length > 0 ? await selectCallers(db, 'n.credential_id', others) : []));
  if (hints.size > MAX_HINTS) {
    hints.clear();
  }
  rows.forEach((row) => hints.set(row.credential_id, row.id));
  return new Map(rows.map((row) => [row.credential_id, toCaller(row)]));
}

const selectCallers = (db: Db, column: 'n.id' | 'n.credential_id', values: (string | number)[]): Promise<CallerRow[]> =>
  selectRows<CallerRow>(
    db,
    `SELECT n.id, n.credential_id, n.credential_hash, n.host_key, n.status, p.username, GREATEST(0, TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), l.ends_at) / 1000000) AS remaining
       FROM nodes n LEFT JOIN leases l ON l.id = n.lease_id LEFT JOIN placements p ON p.current_lease_id = l.id AND p.node_id = n.id
      WHERE ${column} IN (${values.map(() => '?').join(',')})`,
    values,
  );

const toCaller = ({ id, credential_hash: credentialHash, host_key: hostKey, status, username, remaining }: CallerRow): Caller => ({
  nodeId: id,
  credentialHash,
  hostKey,
  status,
  accounts: username === null ? [] : [{ username, remainingSeconds: Number(remaining) }],
});

export interface Heartbeat {
  nodeId: number;
  /** Values that are missing stay as they were. */
  vitals: Vitals;
  /** Seconds without a heartbeat after which the agent counts as silent. */
  overdueSeconds: number;
}

/**
 * Writes heartbeats in one statement, at most one for each node. They are sorted by node, so that replicas that write at the same time
 * cannot deadlock.
 */
export async function recordHeartbeats(db: Db, heartbeats: Heartbeat[]): Promise<void> {
  const sorted = [...heartbeats].sort((a, b) => a.nodeId - b.nodeId);
  await execute(
    db,
    `INSERT INTO heartbeats (node_id, last_heartbeat_at, silent_at, load1, memory_free_mb, disk_free_mb)
     VALUES ${sorted.map(() => '(?, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND, ?, ?, ?)').join(',')}
     ON DUPLICATE KEY UPDATE last_heartbeat_at = VALUES(last_heartbeat_at), silent_at = VALUES(silent_at), load1 = COALESCE(VALUES(load1), load1),
       memory_free_mb = COALESCE(VALUES(memory_free_mb), memory_free_mb), disk_free_mb = COALESCE(VALUES(disk_free_mb), disk_free_mb)`,
    sorted.flatMap(({ nodeId, overdueSeconds, vitals: { load1, memory_free_mb: memory, disk_free_mb: disk } }) => [
      nodeId,
      Math.round(overdueSeconds * 1e6),
      load1 ?? null,
      memory ?? null,
      disk ?? null,
    ]),
  );
}

/**
 * Starts the wait for the first heartbeat of a machine that has just enrolled. The enrolment itself does not count as a heartbeat, because
 * the machine may never have received the answer.
 */
export async function expectFirstHeartbeat(db: Db, nodeId: number, overdueSeconds: number): Promise<void> {
  await execute(
    db,
    `INSERT INTO heartbeats (node_id, last_heartbeat_at, silent_at) SELECT id, registered_at, ${IN_SECONDS} FROM nodes WHERE id = ?
     ON DUPLICATE KEY UPDATE last_heartbeat_at = VALUES(last_heartbeat_at), silent_at = VALUES(silent_at)`,
    [overdueSeconds, nodeId],
  );
}

/**
 * Returns the seconds, at least 1, until the agent counts as silent if it sends no further heartbeat. 0: it is silent already, or has sent
 * none since the machine registered.
 */
export async function secondsUntilSilent(db: Db, nodeId: number): Promise<number> {
  const row = await selectFirst<{ seconds: string | number }>(
    db,
    `SELECT GREATEST(1, CEIL(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), h.silent_at) / 1000000)) AS seconds FROM heartbeats h JOIN nodes n ON n.id = h.node_id
      WHERE h.node_id = ? AND h.silent_at > UTC_TIMESTAMP(3) AND h.last_heartbeat_at > n.registered_at`,
    [nodeId],
  );
  return Number(row?.seconds ?? 0);
}

/**
 * Lets the agent count as silent after `overdueSeconds` at the latest, even if its last heartbeat schedule allowed more. Called when an
 * account was made on the node.
 */
export async function expectHeartbeat(db: Db, nodeId: number, overdueSeconds: number): Promise<void> {
  await execute(db, `UPDATE heartbeats SET silent_at = LEAST(silent_at, ${IN_SECONDS}) WHERE node_id = ?`, [overdueSeconds, nodeId]);
}

/** Counts the nodes that send heartbeats regularly, approximately: the nodes that are alive. */
export async function countCallers(db: Db): Promise<number> {
  return (await selectFirst<{ n: number }>(db, "SELECT COUNT(*) AS n FROM nodes WHERE status = 'alive'"))?.n ?? 0;
}
