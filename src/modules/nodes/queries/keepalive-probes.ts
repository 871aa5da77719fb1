import { execute, IN_SECONDS, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import type { SshTarget } from '../../../ssh';
import { OWNED_SHARDS, SHARDS } from './probe-shards';
import { DIRECT_DUE } from './probes';

/** A node to which a pooled SSH session is worth keeping. */
export interface KeepableNode extends SshTarget {
  /** Fingerprint of the host key. */
  fingerprint: string;
}

interface Row {
  id: number;
  address: string;
  ssh_port: number;
  host_key: string;
  host_key_fingerprint: string;
  reach: NonNullable<SshTarget['reach']>;
}

/** Lists at most `limit` nodes of an owner's shards, the oldest first: nodes that are alive, are not leaving and had a full-login probe. */
export async function listKeepableNodes(db: Db, ownerId: string, limit: number): Promise<KeepableNode[]> {
  const rows = await selectRows<Row>(
    db,
    `SELECT id, address, ssh_port, host_key, host_key_fingerprint, reach FROM nodes
      WHERE status = 'alive' AND leaving = 0 AND logged_in_at IS NOT NULL AND id % ${SHARDS} IN (${OWNED_SHARDS}) ORDER BY id LIMIT ?`,
    [ownerId, limit],
  );
  return rows.map((row) => ({
    nodeId: row.id,
    address: row.address,
    port: row.ssh_port,
    hostKey: row.host_key,
    fingerprint: row.host_key_fingerprint,
    reach: row.reach,
  }));
}

export interface Answers {
  ownerId: string;
  /** Nodes that have just answered, over pooled SSH sessions whose login verified these host keys. */
  nodes: Pick<KeepableNode, 'nodeId' | 'fingerprint'>[];
  nextProbeSeconds: number;
  /** Each node gets a full-login probe at least this often. */
  deepCheckSeconds: number;
}

/**
 * SQL: when a full-login probe is due, even if keepalive probes succeed. That is after half of `deepCheckSeconds` or more, depending on the
 * id, so that logins that happened together spread out.
 */
const LOGIN_DUE = `TIMESTAMPADD(MICROSECOND, ROUND(? * (0.5 + (id DIV ${SHARDS}) % 64 / 128) * 1000) * 1000, logged_in_at)`;

/**
 * Counts answers over pooled SSH sessions as probes of nodes that were alive and still are. An answer counts if the owner still has the
 * shard and the host key is the verified one. No probe, full login or direct connection may be due. All other nodes, and nodes that are
 * claimed or locked, wait for their probe. Returns how many answers counted.
 */
export async function completeAnsweredProbes(tx: Tx, { ownerId, nodes, nextProbeSeconds, deepCheckSeconds }: Answers): Promise<number> {
  const marks = nodes.map(() => '?').join(',');
  const counting = await selectRows<{ id: number }>(
    tx,
    `SELECT id FROM nodes
      WHERE id IN (${marks}) AND host_key_fingerprint IN (${marks}) AND status = 'alive' AND leaving = 0
        AND probe_token IS NULL AND probe_due_at > UTC_TIMESTAMP(3) AND ${LOGIN_DUE} > UTC_TIMESTAMP(3) AND NOT (${DIRECT_DUE})
        AND id % ${SHARDS} IN (${OWNED_SHARDS}) FOR UPDATE SKIP LOCKED`,
    [...nodes.map(({ nodeId }) => nodeId), ...nodes.map(({ fingerprint }) => fingerprint), deepCheckSeconds, ownerId],
  );
  if (counting.length === 0) {
    return 0;
  }
  return execute(
    tx,
    `UPDATE nodes SET probe_due_at = LEAST(${IN_SECONDS}, ${LOGIN_DUE}), last_checked_at = UTC_TIMESTAMP(3) WHERE id IN (${counting.map(({ id }) => id).join(',')})`,
    [nextProbeSeconds, deepCheckSeconds],
  );
}
