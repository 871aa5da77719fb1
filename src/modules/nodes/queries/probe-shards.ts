import { execute, IN_SECONDS, selectFirst, selectRows } from '../../../db/sql';
import type { Db, Tx } from '../../../db/transaction';

/** A node belongs to shard `id % SHARDS`. */
export const SHARDS = 64;

/** A scheduler that owns shards. */
export interface ShardOwner {
  id: string;
  /** The ownership expires when the scheduler does not renew it for this long. */
  seconds: number;
}

/** SQL: the shards of an owner, and none once its ownership has expired. One binding: its id. */
export const OWNED_SHARDS = `SELECT s.shard FROM probe_shards s JOIN probe_owners o ON o.id = s.owner_id WHERE s.owner_id = ? AND o.expires_at > UTC_TIMESTAMP(3)`;

/**
 * Renews the ownership, and takes free shards up to a fair share or gives up the shards beyond it. Returns how many shards the owner has.
 * The scheduler calls it again well before the ownership expires.
 */
export async function holdShards(tx: Tx, { id, seconds }: ShardOwner): Promise<number> {
  await execute(tx, 'DELETE FROM probe_owners WHERE expires_at <= UTC_TIMESTAMP(3)');
  await execute(
    tx,
    `INSERT INTO probe_owners (id, expires_at) VALUES (?, ${IN_SECONDS}) ON DUPLICATE KEY UPDATE expires_at = VALUES(expires_at)`,
    [id, seconds],
  );
  const counts = await selectFirst<{ owners: number; owned: number }>(
    tx,
    'SELECT (SELECT COUNT(*) FROM probe_owners) AS owners, (SELECT COUNT(*) FROM probe_shards WHERE owner_id = ?) AS owned',
    [id],
  );
  const { owners = 1, owned = 0 } = counts ?? {};
  const share = Math.ceil(SHARDS / owners);
  if (owned > share) {
    await execute(tx, 'UPDATE probe_shards SET owner_id = NULL WHERE owner_id = ? ORDER BY shard LIMIT ?', [id, owned - share]);
    return share;
  }
  return owned + (await takeShards(tx, id, share - owned));
}

async function takeShards(tx: Tx, ownerId: string, limit: number): Promise<number> {
  const free = await selectRows<{ shard: number }>(
    tx,
    'SELECT shard FROM probe_shards WHERE owner_id IS NULL OR owner_id NOT IN (SELECT id FROM probe_owners) ORDER BY shard LIMIT ? FOR UPDATE SKIP LOCKED',
    [limit],
  );
  if (free.length > 0) {
    await execute(tx, `UPDATE probe_shards SET owner_id = ? WHERE shard IN (${free.map(({ shard }) => shard).join(',')})`, [ownerId]);
  }
  return free.length;
}

/** Gives up all shards of the owner, so that other schedulers need not wait until its ownership expires. */
export async function handBackShards(db: Db, ownerId: string): Promise<void> {
  await execute(db, 'DELETE FROM probe_owners WHERE id = ?', [ownerId]);
  await execute(db, 'UPDATE probe_shards SET owner_id = NULL WHERE owner_id = ?', [ownerId]);
}
