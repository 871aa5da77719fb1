import { execute, IN_SECONDS } from '../../../db/sql';
import type { Db } from '../../../db/transaction';

/** Becomes the leader `name`, or renews the leadership, for `seconds`. False: another process is the leader. */
export async function takeLeadership(db: Db, { name, token }: LeadershipClaim, seconds: number): Promise<boolean> {
  const changed = await execute(
    db,
    `UPDATE leaders SET token = ?, expires_at = ${IN_SECONDS} WHERE name = ? AND (token = ? OR token IS NULL OR expires_at <= UTC_TIMESTAMP(3))`,
    [token, seconds, name, token],
  );
  return changed === 1;
}

/** Whether this process is still the leader. Locks the row, so that no other process becomes the leader before the transaction ends. */
export async function holdsLeadership(db: Db, { name, token }: LeadershipClaim): Promise<boolean> {
  return (
    (await execute(db, 'UPDATE leaders SET token = token WHERE name = ? AND token = ? AND expires_at > UTC_TIMESTAMP(3)', [
      name,
      token,
    ])) === 1
  );
}

/** Gives the leadership up, so that another process need not wait for it to expire. Does nothing when this process is not the leader. */
export async function handBackLeadership(db: Db, { name, token }: LeadershipClaim): Promise<void> {
  await execute(db, 'UPDATE leaders SET token = NULL WHERE name = ? AND token = ?', [name, token]);
}

export interface LeadershipClaim {
  name: string;
  token: string;
}
