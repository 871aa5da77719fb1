import { execute, IN_SECONDS, selectFirst, selectRows } from '../../../db/sql';
import type { Db } from '../../../db/transaction';
import type { TunnelHolder, TunnelRecord } from '../types';

/** An announcement that holds for `seconds`: what others read, so that a holder can know it before any of them does. */
export async function nextAnnouncement(db: Db, seconds: number): Promise<string> {
  const row = await selectFirst<{ announced: string }>(db, `SELECT CAST(CAST(${IN_SECONDS} AS DATETIME(3)) AS CHAR) AS announced`, [seconds]);
  return row?.announced ?? '';
}

/** Makes this holder known, or keeps it so, for as long as its announcement says. */
export async function announceHolder(db: Db, { id, url, key, announced }: TunnelHolder): Promise<void> {
  await execute(
    db,
    `INSERT INTO tunnel_holders (id, url, relay_key, expires_at) VALUES (?, ?, ?, ?)
       ON DUPLICATE KEY UPDATE url = VALUES(url), relay_key = VALUES(relay_key), expires_at = VALUES(expires_at)`,
    [id, url, key, announced],
  );
}

/** The holder goes, and its tunnels with it. */
export async function withdrawHolder(db: Db, id: string): Promise<void> {
  await execute(db, 'DELETE FROM tunnels WHERE holder_id = ?', [id]);
  await execute(db, 'DELETE FROM tunnel_holders WHERE id = ?', [id]);
}

/** Forgets holders that have been silent for `seconds`, and their tunnels. Returns how many. */
export async function sweepHolders(db: Db, seconds: number): Promise<number> {
  const gone = await selectRows<{ id: string }>(
    db,
    'SELECT id FROM tunnel_holders WHERE expires_at < TIMESTAMPADD(SECOND, -?, UTC_TIMESTAMP(3)) LIMIT 100',
    [seconds],
  );
  for (const { id } of gone) {
    await withdrawHolder(db, id);
  }
  return gone.length;
}

/** The tunnel of a node; undefined: it has none. `alive` is false when its holder's time is over. */
export async function findTunnel(db: Db, nodeId: number): Promise<TunnelRecord | undefined> {
  const row = await selectFirst<{ token: string; holder_id: string; url: string; relay_key: string | null; announced: string; alive: number }>(
    db,
    `SELECT t.token, t.holder_id, h.url, h.relay_key, CAST(h.expires_at AS CHAR) AS announced, h.expires_at > UTC_TIMESTAMP(3) AS alive
       FROM tunnels t JOIN tunnel_holders h ON h.id = t.holder_id WHERE t.node_id = ?`,
    [nodeId],
  );
  return row && { token: row.token, holder: { id: row.holder_id, url: row.url, key: row.relay_key, announced: row.announced }, alive: row.alive === 1 };
}

/** The tokens of the tunnels on record as this holder's, without those of nodes that were shut out since. */
export async function listTunnels(db: Db, holderId: string): Promise<string[]> {
  const sql = "SELECT t.token FROM tunnels t JOIN nodes n ON n.id = t.node_id WHERE t.holder_id = ? AND n.status NOT IN ('quarantined', 'retired')";
  return (await selectRows<{ token: string }>(db, sql, [holderId])).map(({ token }) => token);
}

/** This tunnel is the node's from now on. */
export async function recordTunnel(db: Db, nodeId: number, { token, holderId }: { token: string; holderId: string }): Promise<void> {
  await execute(
    db,
    `INSERT INTO tunnels (node_id, token, holder_id) VALUES (?, ?, ?)
       ON DUPLICATE KEY UPDATE token = VALUES(token), holder_id = VALUES(holder_id), opened_at = UTC_TIMESTAMP(3)`,
    [nodeId, token, holderId],
  );
}

/** Forgets this tunnel. False: the node has another one by now, or none. */
export async function removeTunnel(db: Db, nodeId: number, token: string): Promise<boolean> {
  return (await execute(db, 'DELETE FROM tunnels WHERE node_id = ? AND token = ?', [nodeId, token])) === 1;
}

/** Forgets whatever tunnel the node has. */
export async function forgetTunnel(db: Db, nodeId: number): Promise<void> {
  await execute(db, 'DELETE FROM tunnels WHERE node_id = ?', [nodeId]);
}

/** The address from which this process reaches the database: on the network that all of the control plane share. */
export async function findOwnAddress(db: Db): Promise<string> {
  const row = await selectFirst<{ host: string }>(db, "SELECT SUBSTRING_INDEX(USER(), '@', -1) AS host");
  const host = row?.host ?? '';
  return host === '' || host === 'localhost' ? '127.0.0.1' : host;
}
