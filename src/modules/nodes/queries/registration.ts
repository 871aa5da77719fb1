import { execute, insertRow, selectFirst } from '../../../db/sql';
import type { Tx } from '../../../db/transaction';
import type { Decided, Placeable } from '../declared';
import { nodeState } from '../moves';
import type { Facts, NodeStatus } from '../types';
import type { UidRange } from '../../../lib/uid-range';

export interface Registration extends Placeable {
  hostname: string;
  address: string;
  sshPort: number;
  hostKey: string;
  fingerprint: string;
  decided: Decided;
  facts: Facts;
  status: Extract<NodeStatus, 'pending' | 'unknown' | 'quarantined'>;
  /** SHA-256 of a new credential, or null to keep the present one. */
  credentialHash: string | null;
  /** The fleet's range of uids, for machines without a range of their own. */
  fleetUids: UidRange;
  /** The machine's own range of uids; null: it uses the fleet's range. */
  uidRange: UidRange | null;
  /** The address range with which a new machine that waits for approval is counted; null: it does not wait. */
  enrolledFrom: string | null;
}

/**
 * R3: writes the one row of a machine, whose host key is its identity. A known machine is updated, never doubled. Its status becomes
 * `status`. It is dirty, because it may have been away (I6), and due for a probe if `status` is `unknown`. Failures already counted stay,
 * so that an agent in a restart loop cannot keep a broken machine from being judged dead.
 *
 * A machine gets its uid block with its first verified wipe (completeWipe). No machine is leased before that wipe, and a machine that only
 * waits for approval uses up no block.
 *
 * @returns the node's id
 */
export async function upsertNode(tx: Tx, r: Registration): Promise<number> {
  await insertRow(
    tx,
    `INSERT INTO nodes (hostname, address, ssh_port, host_key, host_key_fingerprint, cpus, memory_mb, labels, operator_labels, max_cpus, max_memory_mb, facts, status, credential_hash,
                        next_uid, uid_range_first, uid_range_last, enrolled_from, probe_due_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, IF(? = 'unknown', UTC_TIMESTAMP(3), NULL))
     ON DUPLICATE KEY UPDATE hostname = VALUES(hostname), address = VALUES(address), ssh_port = VALUES(ssh_port), cpus = VALUES(cpus),
       memory_mb = VALUES(memory_mb), labels = VALUES(labels), operator_labels = VALUES(operator_labels), max_cpus = VALUES(max_cpus), max_memory_mb = VALUES(max_memory_mb),
       facts = VALUES(facts), uid_range_first = VALUES(uid_range_first), uid_range_last = VALUES(uid_range_last), credential_hash = COALESCE(VALUES(credential_hash), credential_hash),
       status_since = IF(status = VALUES(status), status_since, UTC_TIMESTAMP(3)), status_reason = IF(VALUES(status) = 'quarantined', status_reason, NULL),
       ${nodeState.assign('register', "VALUES(status) = 'unknown'")},
       dirty = 1, wipe_token = NULL, wipe_due_at = NULL, probe_token = NULL, probe_due_at = IF(status = 'unknown', UTC_TIMESTAMP(3), NULL), registered_at = UTC_TIMESTAMP(3)`,
    [
      r.hostname,
      r.address,
      r.sshPort,
      r.hostKey,
      r.fingerprint,
      r.cpus,
      r.memoryMb,
      JSON.stringify(r.labels),
      JSON.stringify(r.decided.labels),
      r.decided.maxCpus,
      r.decided.maxMemoryMb,
      JSON.stringify(r.facts),
      r.status,
      r.credentialHash,
      (r.uidRange ?? r.fleetUids).first,
      r.uidRange?.first ?? null,
      r.uidRange?.last ?? null,
      r.enrolledFrom,
      r.status,
    ],
  );
  const row = await selectFirst<{ id: number }>(tx, 'SELECT id FROM nodes WHERE host_key_fingerprint = ?', [r.fingerprint]);
  if (!row) {
    throw new Error('a node vanished while it was being registered');
  }
  return row.id;
}

/**
 * Writes the values that a locked node declares now. If its address or port changed, it is due for a probe there at once, unless a probe is
 * under way.
 */
export async function redescribeNode(
  tx: Tx,
  nodeId: number,
  r: Placeable & Pick<Registration, 'hostname' | 'address' | 'sshPort' | 'facts'>,
): Promise<void> {
  await execute(
    tx,
    `UPDATE nodes SET probe_due_at = IF((address <> ? OR ssh_port <> ?) AND probe_token IS NULL AND status IN ('unknown','alive','suspect','dead'), UTC_TIMESTAMP(3), probe_due_at),
            hostname = ?, address = ?, ssh_port = ?, cpus = ?, memory_mb = ?, labels = ?, facts = ? WHERE id = ?`,
    [r.address, r.sshPort, r.hostname, r.address, r.sshPort, r.cpus, r.memoryMb, JSON.stringify(r.labels), JSON.stringify(r.facts), nodeId],
  );
}
