import { execute, IN_SECONDS, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';
import type { SshTarget } from '../../../ssh';
import { OWNED_SHARDS, SHARDS } from './probe-shards';
import { DIRECT_DUE } from './probes';

/** A node to which a connection is worth keeping. */
export interface KeepableNode extends SshTarget {
  /** Of the host key. */
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

/** The nodes of an owner's shards that are well and mean to stay, at most `limit`, the oldest first. */
export async function listKeepableNodes(db: Db, ownerId: string, limit: number): Promise<KeepableNode[]> {
  const rows = await selectRows<Row>(
    db,
    `SELECT id, address, ssh_port, host_key, host_key_fingerprint, reach FROM nodes
      WHERE status = 'alive' AND leaving = 0 AND logged_in_at IS NOT NULL AND id % ${SHARDS} IN (${OWNED_SHARDS}) ORDER BY id LIMIT ?`,
    [ownerId, limit],
  );
  return rows.map((row) => ({ nodeId: row.id, address: row.address, port: row.ssh_port, hostKey: row.host_key, fingerprint: row.host_key_fingerprint, reach: row.reach }));
}

export interface Answers {
  ownerId: string;
  /** Those that have just answered, over connections whose login verified these host keys. */
  nodes: Pick<KeepableNode, 'nodeId' | 'fingerprint'>[];
  nextProbeSeconds: number;
  /** At least so often a probe is a fresh login. */
  deepCheckSeconds: number;
}

/** When a fresh login is due, whatever answers: after half of its time or more, so that those who were logged in to together are not for ever. */
const LOGIN_DUE = `TIMESTAMPADD(MICROSECOND, ROUND(? * (0.5 + (id DIV ${SHARDS}) % 64 / 128) * 1000) * 1000, logged_in_at)`;

/**
 * Answers over kept connections count as probes of nodes that were well and are: as long as the shard is the owner's, the host key is the one that was
 * verified, nobody wants to look at the node now, and no fresh login is due. All others, and those that somebody works on, are left to be probed. Returns how many counted.
 */
export async function settleAnswers(tx: Tx, { ownerId, nodes, nextProbeSeconds, deepCheckSeconds }: Answers): Promise<number> {
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
