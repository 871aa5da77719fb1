import { execute, selectFirst } from '../../../db/sql';
import type { Tx } from '../../../db/transaction';
import { nodeState } from '../moves';

/** SQL: ends the claims on the node, and makes neither a probe nor a wipe due. */
const IDLE = 'probe_due_at = NULL, probe_token = NULL, wipe_due_at = NULL, wipe_token = NULL';

const QUARANTINE = nodeState.update('quarantine', {
  set: `status_reason = ?, status_since = UTC_TIMESTAMP(3), dirty = 1, offered_host_key = COALESCE(?, offered_host_key), ${IDLE}`,
  where: 'id = ?',
});

/** Takes a node out of service until an operator approves it. Until then the node is dirty, and is neither probed nor wiped. */
export async function quarantineNode(
  tx: Tx,
  nodeId: number,
  { reason, offeredHostKey }: { reason: string; offeredHostKey?: string | undefined },
): Promise<void> {
  await execute(tx, QUARANTINE, [reason.slice(0, 500), offeredHostKey ?? null, nodeId]);
}

const APPROVE = nodeState.update('approve', {
  set: `status_reason = NULL, status_since = UTC_TIMESTAMP(3), dirty = 1, probe_failures = 0, first_failed_at = NULL,
        wipe_failures = 0, provision_failures = 0, probe_due_at = UTC_TIMESTAMP(3), probe_token = NULL, wipe_due_at = NULL, wipe_token = NULL`,
  where: 'id = ?',
});

/**
 * Lets a pending or quarantined node in. It is verified and wiped before anybody may lease it. False: the node was neither pending nor
 * quarantined.
 */
export async function approveNode(tx: Tx, nodeId: number): Promise<boolean> {
  return (await execute(tx, APPROVE, [nodeId])) === 1;
}

/** Pins the host key that the node offered, in place of its old one. */
export async function acceptOfferedHostKey(
  tx: Tx,
  nodeId: number,
  { hostKey, fingerprint }: { hostKey: string; fingerprint: string },
): Promise<void> {
  await execute(tx, 'UPDATE nodes SET host_key = ?, host_key_fingerprint = ?, offered_host_key = NULL WHERE id = ?', [
    hostKey,
    fingerprint,
    nodeId,
  ]);
}

/**
 * Drains a node: it gets no new lease. With `evacuating`, a lease whose account is still being made there moves as soon as the account is
 * made.
 */
export async function drainNode(tx: Tx, nodeId: number, evacuating: boolean): Promise<void> {
  await execute(tx, 'UPDATE nodes SET drained = 1, evacuating = (? OR leaving) WHERE id = ?', [evacuating, nodeId]);
}

export async function undrainNode(tx: Tx, nodeId: number): Promise<void> {
  await execute(tx, 'UPDATE nodes SET drained = 0, leaving = 0, evacuating = 0 WHERE id = ?', [nodeId]);
}

/** Marks a machine that requested to leave: it gets no new lease, and its lease moves. */
export async function setLeaving(tx: Tx, nodeId: number): Promise<void> {
  await execute(tx, 'UPDATE nodes SET drained = 1, leaving = 1, evacuating = 1 WHERE id = ?', [nodeId]);
}

const RETIRE = nodeState.update('retire', {
  set: `status_reason = ?, status_since = UTC_TIMESTAMP(3), drained = 1, host_key_fingerprint = NULL, ${IDLE}`,
  where: 'id = ?',
});

/**
 * Retires a node for good. The row stays, because its placements are history. The host key is freed, so that the machine may enrol again.
 */
export async function retireNode(tx: Tx, nodeId: number, reason: string): Promise<void> {
  await execute(tx, RETIRE, [reason, nodeId]);
}

/** Counts one failure of provisioning on the node and returns the new number; success resets it. */
export async function countProvisionFailure(tx: Tx, nodeId: number): Promise<number> {
  await execute(tx, 'UPDATE nodes SET provision_failures = provision_failures + 1 WHERE id = ?', [nodeId]);
  return (await selectFirst<{ n: number }>(tx, 'SELECT provision_failures AS n FROM nodes WHERE id = ?', [nodeId]))?.n ?? 0;
}

export async function resetProvisionFailures(tx: Tx, nodeId: number): Promise<void> {
  await execute(
    tx,
    'UPDATE nodes SET provision_failures = 0, uid_refusal = NULL WHERE id = ? AND (provision_failures > 0 OR uid_refusal IS NOT NULL)',
    [nodeId],
  );
}
