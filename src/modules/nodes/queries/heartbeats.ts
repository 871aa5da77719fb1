import { execute, IN_SECONDS, selectFirst, selectRows } from '../../../db/sql';
import type { Db } from '../../../db/transaction';
import type { NodeStatus, Vitals } from '../types';

/** A node as its agent is answered. */
export interface Caller {
  nodeId: number;
  /** For its calls and their answers. */
  credentialHash: string;
  hostKey: string;
  status: NodeStatus;
  /** Those that are current there. */
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
 * Where one replica has found credentials before: their nodes, by the credential's id. Only a hint, to look there first (a third of what the index of ids costs):
 * whether the row still has that credential is asked each time.
 */
export type CallerHints = Map<string, number>;

const MAX_HINTS = 200_000;

/** The nodes that hold the credentials with these ids, by the id, whatever their status. */
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
  /** What is not in it stays as it was. */
  vitals: Vitals;
  /** Silence after which the agent counts as silent. */
  overdueSeconds: number;
}

/** Writes heartbeats, one a node at most, in one statement. In the order of the nodes, so that replicas that write at the same time cannot deadlock. */
export async function recordHeartbeats(db: Db, heartbeats: Heartbeat[]): Promise<void> {
  const sorted = [...heartbeats].sort((a, b) => a.nodeId - b.nodeId);
  await execute(
    db,
    `INSERT INTO heartbeats (node_id, last_heartbeat_at, silent_at, load1, memory_free_mb, disk_free_mb)
     VALUES ${sorted.map(() => '(?, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND, ?, ?, ?)').join(',')}
     ON DUPLICATE KEY UPDATE last_heartbeat_at = VALUES(last_heartbeat_at), silent_at = VALUES(silent_at), load1 = COALESCE(VALUES(load1), load1),
       memory_free_mb = COALESCE(VALUES(memory_free_mb), memory_free_mb), disk_free_mb = COALESCE(VALUES(disk_free_mb), disk_free_mb)`,
    sorted.flatMap(({ nodeId, overdueSeconds, vitals: { load1, memory_free_mb: memory, disk_free_mb: disk } }) => [nodeId, Math.round(overdueSeconds * 1e6), load1 ?? null, memory ?? null, disk ?? null]),
  );
}

/** A machine enrolled. Its agent is not heard by that: whoever enrols may never have got the answer. */
export async function expectFirstHeartbeat(db: Db, nodeId: number, overdueSeconds: number): Promise<void> {
  await execute(
    db,
    `INSERT INTO heartbeats (node_id, last_heartbeat_at, silent_at) SELECT id, registered_at, ${IN_SECONDS} FROM nodes WHERE id = ?
     ON DUPLICATE KEY UPDATE last_heartbeat_at = VALUES(last_heartbeat_at), silent_at = VALUES(silent_at)`,
    [overdueSeconds, nodeId],
  );
}

/** Seconds, at least 1, until the agent counts as silent if it does not call again. 0: it does already, or has not called since the machine enrolled. */
export async function secondsUntilSilent(db: Db, nodeId: number): Promise<number> {
  const row = await selectFirst<{ seconds: string | number }>(
    db,
    `SELECT GREATEST(1, CEIL(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), h.silent_at) / 1000000)) AS seconds FROM heartbeats h JOIN nodes n ON n.id = h.node_id
      WHERE h.node_id = ? AND h.silent_at > UTC_TIMESTAMP(3) AND h.last_heartbeat_at > n.registered_at`,
    [nodeId],
  );
  return Number(row?.seconds ?? 0);
}

/** An account has come onto the node: its agent has `overdueSeconds` to call, whatever it was told before. */
export async function expectHeartbeat(db: Db, nodeId: number, overdueSeconds: number): Promise<void> {
  await execute(db, `UPDATE heartbeats SET silent_at = LEAST(silent_at, ${IN_SECONDS}) WHERE node_id = ?`, [overdueSeconds, nodeId]);
}

/** How many nodes call home regularly, about. */
export async function countCallers(db: Db): Promise<number> {
  return (await selectFirst<{ n: number }>(db, "SELECT COUNT(*) AS n FROM nodes WHERE status = 'alive'"))?.n ?? 0;
}
