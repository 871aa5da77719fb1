import { fromJson, selectRows } from '../../../db/sql';
import type { Db } from '../../../db/transaction';

/** The place and the access of a running lease, as the gateway needs them to forward a client. */
export interface LeaseWhereabouts {
  leaseId: number;
  userId: number;
  /** The lease's own keys. The keys of its user are valid as well. */
  publicKeys: string[];
  endsInSeconds: number;
  generation: number;
  /** Name of the account; null: the account is still being made. */
  username: string | null;
  nodeId: number | null;
  /** How many leases have been waiting for a node for longer; null: this lease does not wait. */
  ahead: number | null;
}

interface Row {
  id: number;
  user_id: number;
  public_keys: unknown;
  remaining: string | number;
  generation: number;
  username: string | null;
  node_id: number | null;
  ahead: string | number | null;
}

/** Finds where these leases are. Leases that do not run, or are over by the database's clock, are missing. */
export async function listWhereabouts(db: Db, leaseIds: number[]): Promise<LeaseWhereabouts[]> {
  if (leaseIds.length === 0) {
    return [];
  }
  const rows = await selectRows<Row>(
    db,
    `SELECT l.id, l.user_id, l.public_keys, TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), l.ends_at) / 1000000 AS remaining, l.generation,
            IF(p.state = 'present' AND l.state <> 'provisioning', p.username, NULL) AS username, p.node_id,
            IF(l.waiting_since IS NULL, NULL, (SELECT COUNT(*) FROM leases o WHERE o.state = 'migrating' AND o.waiting_since < l.waiting_since)) AS ahead
       FROM leases l LEFT JOIN placements p ON p.current_lease_id = l.id
      WHERE l.id IN (${leaseIds.map(() => '?').join(',')}) AND l.state IN ('provisioning','active','migrating') AND l.ends_at > UTC_TIMESTAMP(3)`,
    leaseIds,
  );
  return rows.map((row) => ({
    leaseId: row.id,
    userId: row.user_id,
    publicKeys: fromJson<string[]>(row.public_keys),
    endsInSeconds: Number(row.remaining),
    generation: row.generation,
    username: row.username,
    nodeId: row.node_id,
    ahead: row.ahead === null ? null : Number(row.ahead),
  }));
}
