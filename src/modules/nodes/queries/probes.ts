import { execute, IN_SECONDS, selectFirst } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import { claimDue, type WorkQueue } from '../../../db/work-queue';
import type { Reach } from '../../../ssh';
import type { Decision } from '../health';
import { nodeState } from '../moves';
import type { NodeStatus } from '../types';

/** A node that is claimed for one probe. */
export interface ClaimedProbe {
  nodeId: number;
  token: string;
  address: string;
  sshPort: number;
  hostKey: string;
  /** The transport that worked last. */
  reach: Reach;
  /** The agent has a tunnel open, or had one at the last report of the tunnel's owner. */
  tunnelled: boolean;
  /** The node is reached through its tunnel, and a direct connection was not tried for `TRY_DIRECT_MINUTES`. */
  directDue: boolean;
  /** How late the probe is, for the lag metric. */
  lagSeconds: number;
}

interface DueRow {
  id: number;
  address: string;
  ssh_port: number;
  host_key: string;
  reach: Reach;
  tunnelled: number;
  direct_due: number;
  lag: string | number;
}

const TRY_DIRECT_MINUTES = 10;
/** SQL: the node is reached through its tunnel, and a direct connection was not tried for `TRY_DIRECT_MINUTES`. */
export const DIRECT_DUE = `(reach = 'tunnel' AND (direct_tried_at IS NULL OR direct_tried_at < UTC_TIMESTAMP(3) - INTERVAL ${TRY_DIRECT_MINUTES} MINUTE))`;

/** Nodes whose probe is due. */
export const PROBES: WorkQueue = { table: 'nodes', key: 'id', dueAt: 'probe_due_at', token: 'probe_token' };
const PROBED_COLUMNS = `id, address, ssh_port, host_key, reach, EXISTS (SELECT 1 FROM tunnels t WHERE t.node_id = nodes.id) AS tunnelled, ${DIRECT_DUE} AS direct_due,
  TIMESTAMPDIFF(MICROSECOND, probe_due_at, UTC_TIMESTAMP(3)) / 1000000 AS lag`;

/** Claims up to `limit` nodes whose probe is due, the longest due first, for `claimSeconds`. Empty: nothing is due. */
export async function claimDueProbes(tx: Tx, limit: number, claimSeconds: number): Promise<ClaimedProbe[]> {
  const { rows, token } = await claimDue<DueRow>(tx, PROBES, { columns: PROBED_COLUMNS, limit, claimSeconds });
  return rows.map((row) => ({
    nodeId: row.id,
    token,
    address: row.address,
    sshPort: row.ssh_port,
    hostKey: row.host_key,
    reach: row.reach,
    tunnelled: row.tunnelled === 1,
    directDue: row.direct_due === 1,
    lagSeconds: Number(row.lag),
  }));
}

/** The probe route: the transport of a probe, and whether a direct connection failed before it. */
export interface Way {
  reach: Reach;
  directFailed: boolean;
}

/**
 * Completes a probe in the common case, in one statement: the node was alive and is alive. False: it was not alive, or the claim was lost.
 */
export async function completeAliveProbe(
  db: Db,
  claim: ClaimedProbe,
  { reach, directFailed, nextProbeSeconds }: Way & { nextProbeSeconds: number },
): Promise<boolean> {
  const changed = await execute(
    db,
    `UPDATE nodes SET probe_token = NULL, probe_due_at = ${IN_SECONDS}, probe_failures = 0, first_failed_at = NULL, last_checked_at = UTC_TIMESTAMP(3), logged_in_at = UTC_TIMESTAMP(3),
            reach = ?, direct_tried_at = IF(?, UTC_TIMESTAMP(3), direct_tried_at)
      WHERE id = ? AND probe_token = ? AND status = 'alive'`,
    [nextProbeSeconds, reach, directFailed, claim.nodeId, claim.token],
  );
  return changed === 1;
}

export interface ProbedNode {
  status: NodeStatus;
  failures: number;
  firstFailedAt: Date | null;
  leaseId: number | null;
  dirty: boolean;
  now: Date;
  judgedSince: Date;
}

/** Reads which lease occupies the node now. The caller reads this before it locks, because locks are taken lease first, node second. */
export async function findOccupant(db: Db, nodeId: number): Promise<number | null> {
  return (await selectFirst<{ lease_id: number | null }>(db, 'SELECT lease_id FROM nodes WHERE id = ?', [nodeId]))?.lease_id ?? null;
}

/** Locks the probed node. Undefined: the claim was lost. */
export async function lockProbedNode(tx: Tx, claim: ClaimedProbe): Promise<ProbedNode | undefined> {
  const row = await selectFirst<{
    status: NodeStatus;
    probe_failures: number;
    first_failed_at: Date | null;
    lease_id: number | null;
    dirty: number;
    now: Date;
    judged_since: Date;
  }>(
    tx,
    `SELECT n.status, n.probe_failures, n.first_failed_at, n.lease_id, n.dirty, UTC_TIMESTAMP(3) AS now,
            (SELECT judged_since FROM control_plane WHERE id = 1) AS judged_since
       FROM nodes n WHERE n.id = ? AND n.probe_token = ? FOR UPDATE`,
    [claim.nodeId, claim.token],
  );
  return (
    row && {
      status: row.status,
      failures: row.probe_failures,
      firstFailedAt: row.first_failed_at,
      leaseId: row.lease_id,
      dirty: row.dirty === 1,
      now: row.now,
      judgedSince: row.judged_since,
    }
  );
}

const DECISION_MOVES = { unknown: 'stayUnknown', alive: 'answer', suspect: 'fail', dead: 'die', quarantined: 'quarantine' } as const;

const decisionSql = (status: Decision['status']): string =>
  nodeState.update(DECISION_MOVES[status], {
    set: `status_since = IF(status = '${status}', status_since, UTC_TIMESTAMP(3)), status_reason = ?,
       probe_failures = ?, first_failed_at = ?, last_checked_at = UTC_TIMESTAMP(3), probe_token = NULL,
       probe_due_at = IF(?, ${IN_SECONDS}, NULL), logged_in_at = IF(?, UTC_TIMESTAMP(3), logged_in_at),
       reach = ?, direct_tried_at = IF(?, UTC_TIMESTAMP(3), direct_tried_at),
       last_death_at = IF(?, UTC_TIMESTAMP(3), last_death_at),
       dirty = IF(?, 1, dirty),
       wipe_token = IF(?, NULL, wipe_token),
       wipe_due_at = CASE WHEN ? THEN NULL WHEN ? AND lease_id IS NULL THEN UTC_TIMESTAMP(3) ELSE wipe_due_at END`,
    where: 'id = ?',
  });

const DECISIONS: Readonly<Record<Decision['status'], string>> = {
  unknown: decisionSql('unknown'),
  alive: decisionSql('alive'),
  suspect: decisionSql('suspect'),
  dead: decisionSql('dead'),
  quarantined: decisionSql('quarantined'),
};

/**
 * Writes the decision on a probe to the locked node and ends the claim. A death cancels wipes. A return makes the node dirty. If no lease
 * waits on the node, it is also due for its wipe. Throws when NODE_MOVES does not allow the move from the node's status.
 */
export async function writeDecision(tx: Tx, nodeId: number, decision: Decision & Way & { reason: string | null }): Promise<void> {
  const watched = decision.status !== 'quarantined';
  const changed = await execute(tx, DECISIONS[decision.status], [
    decision.reason,
    decision.failures,
    decision.firstFailedAt,
    watched,
    decision.nextProbeSeconds,
    decision.status === 'alive',
    decision.reach,
    decision.directFailed,
    decision.died,
    decision.died || decision.returned || !watched,
    decision.died || decision.returned || !watched,
    decision.died || !watched,
    decision.returned,
    nodeId,
  ]);
  if (changed !== 1) {
    throw new Error(`node ${nodeId} cannot become ${decision.status} from its present status`);
  }
}

const LOOK_AROUND = 20;

/**
 * Makes some alive nodes due now that were not checked within the last second. The scheduler does this after a failure, so that a death is
 * judged with fresh evidence of how the rest of the fleet fares (I8). It takes the nodes that are due next, by the index of due times:
 * sorting all alive nodes would lock them.
 */
export async function lookAround(db: Db): Promise<void> {
  await execute(
    db,
    `UPDATE nodes FORCE INDEX (nodes_probe_due) SET probe_due_at = UTC_TIMESTAMP(3)
      WHERE status = 'alive' AND probe_token IS NULL AND probe_due_at > UTC_TIMESTAMP(3)
        AND (last_checked_at IS NULL OR last_checked_at < UTC_TIMESTAMP(3) - INTERVAL 1 SECOND)
      ORDER BY probe_due_at LIMIT ?`,
    [LOOK_AROUND],
  );
}

/**
 * Makes some dead nodes due now that were not checked within the last second. The scheduler does this after a node returned. Otherwise,
 * after an outage, leases of nodes that are not probed yet would move onto nodes that came back a few seconds earlier (I8).
 */
export async function lookForReturns(db: Db): Promise<void> {
  await execute(
    db,
    `UPDATE nodes SET probe_due_at = UTC_TIMESTAMP(3)
      WHERE status = 'dead' AND probe_token IS NULL AND probe_due_at > UTC_TIMESTAMP(3) AND last_checked_at < UTC_TIMESTAMP(3) - INTERVAL 1 SECOND
      ORDER BY (lease_id IS NULL), last_checked_at LIMIT ?`,
    [LOOK_AROUND],
  );
}

/**
 * Makes alive nodes due for a probe now, because something happened to them. Nothing else about them changes. A suspect node keeps the
 * schedule of suspect nodes, however many callers report it. Three probes in one second would take a restart of its sshd for a death.
 * Returns how many nodes became due by this.
 */
export function probeSoon(db: Db, ...nodeIds: [number, ...number[]]): Promise<number> {
  return execute(
    db,
    `UPDATE nodes SET probe_due_at = UTC_TIMESTAMP(3)
      WHERE id IN (${nodeIds.map(() => '?').join(',')}) AND probe_token IS NULL AND status = 'alive' AND probe_due_at > UTC_TIMESTAMP(3)`,
    nodeIds,
  );
}

const SUSPECT = `UPDATE nodes SET status_since = IF(status = 'alive', UTC_TIMESTAMP(3), status_since),
         status_reason = IF(status = 'alive', ?, status_reason), ${nodeState.assign('suspect')}, probe_due_at = IF(probe_token IS NULL, UTC_TIMESTAMP(3), probe_due_at)
   WHERE id = ? AND status IN ('unknown','alive','suspect')`;

/** Makes a node suspect after a failure outside a probe. The node is not leased until a probe finds it alive, and that probe is due now. */
export async function suspectNode(db: Db, nodeId: number, reason: string): Promise<void> {
  await execute(db, SUSPECT, [reason.slice(0, 500), nodeId]);
}
