import { execute, IN_SECONDS, selectFirst, selectRows } from '../../../db/sql';
import type { Db } from '../../../db/transaction';
import type { TunnelOwner, TunnelRecord } from '../types';

/**
 * Computes an announcement that is valid for `seconds`. Other processes read it from the database, so the owner must know it before it
 * writes it.
 */
export async function nextAnnouncement(db: Db, seconds: number): Promise<string> {
  const row = await selectFirst<{ announced: string }>(db, `SELECT CAST(CAST(${IN_SECONDS} AS DATETIME(3)) AS CHAR) AS announced`, [
    seconds,
  ]);
  return row?.announced ?? '';
}

/** Publishes this tunnel owner, or renews it, until the time in its announcement. */
export async function announceOwner(db: Db, { id, url, key, announced }: TunnelOwner): Promise<void> {
  await execute(
    db,
    `INSERT INTO tunnel_holders (id, url, relay_key, expires_at) VALUES (?, ?, ?, ?)
       ON DUPLICATE KEY UPDATE url = VALUES(url), relay_key = VALUES(relay_key), expires_at = VALUES(expires_at)`,
    [id, url, key, announced],
  );
}

/** Removes an owner and its tunnels. */
export async function withdrawOwner(db: Db, id: string): Promise<void> {
  await execute(db, 'DELETE FROM tunnels WHERE holder_id = ?', [id]);
  await execute(db, 'DELETE FROM tunnel_holders WHERE id = ?', [id]);
}

/** Removes owners that expired more than `seconds` ago, and their tunnels. Returns how many owners. */
export async function sweepOwners(db: Db, seconds: number): Promise<number> {
  const gone = await selectRows<{ id: string }>(
    db,
    'SELECT id FROM tunnel_holders WHERE expires_at < TIMESTAMPADD(SECOND, -?, UTC_TIMESTAMP(3)) LIMIT 100',
    [seconds],
  );
  for (const { id } of gone) {
    await withdrawOwner(db, id);
  }
  return gone.length;
}

/** Finds the tunnel of a node; undefined when it has none. `alive` is false when the owner's announcement expired. */
export async function findTunnel(db: Db, nodeId: number): Promise<TunnelRecord | undefined> {
  const row = await selectFirst<{
    token: string;
    holder_id: string;
    url: string;
    relay_key: string | null;
    announced: string;
    alive: number;
  }>(
    db,
    `SELECT t.token, t.holder_id, h.url, h.relay_key, CAST(h.expires_at AS CHAR) AS announced, h.expires_at > UTC_TIMESTAMP(3) AS alive
       FROM tunnels t JOIN tunnel_holders h ON h.id = t.holder_id WHERE t.node_id = ?`,
    [nodeId],
  );
  return (
    row && {
      token: row.token,
      owner: { id: row.holder_id, url: row.url, key: row.relay_key, announced: row.announced },
      alive: row.alive === 1,
    }
  );
}

/** Lists the tokens of this owner's recorded tunnels, without those of nodes that are quarantined or retired. */
export async function listTunnels(db: Db, ownerId: string): Promise<string[]> {
  const sql =
    "SELECT t.token FROM tunnels t JOIN nodes n ON n.id = t.node_id WHERE t.holder_id = ? AND n.status NOT IN ('quarantined', 'retired')";
  return (await selectRows<{ token: string }>(db, sql, [ownerId])).map(({ token }) => token);
}

/** Records this tunnel as the node's only one. */
export async function recordTunnel(db: Db, nodeId: number, { token, ownerId }: { token: string; ownerId: string }): Promise<void> {
  await execute(
    db,
    `INSERT INTO tunnels (node_id, token, holder_id) VALUES (?, ?, ?)
       ON DUPLICATE KEY UPDATE token = VALUES(token), holder_id = VALUES(holder_id), opened_at = UTC_TIMESTAMP(3)`,
    [nodeId, token, ownerId],
  );
}

/** Removes this tunnel. False: the node has another tunnel by now, or none. */
export async function removeTunnel(db: Db, nodeId: number, token: string): Promise<boolean> {
  return (await execute(db, 'DELETE FROM tunnels WHERE node_id = ? AND token = ?', [nodeId, token])) === 1;
}

/** Removes the node's tunnel, whichever it is. */
export async function forgetTunnel(db: Db, nodeId: number): Promise<void> {
  await execute(db, 'DELETE FROM tunnels WHERE node_id = ?', [nodeId]);
}

/** Finds the address from which this process connects to the database. It is on the network that the whole control plane shares. */
export async function findOwnAddress(db: Db): Promise<string> {
  const row = await selectFirst<{ host: string }>(db, "SELECT SUBSTRING_INDEX(USER(), '@', -1) AS host");
  const host = row?.host ?? '';
  return host === '' || host === 'localhost' ? '127.0.0.1' : host;
}
