import { execute, IN_SECONDS } from '../../../db/sql';
import type { Db } from '../../../db/transaction';

/** Takes the lead in `name`, or keeps it, for so long. False: another one has it. */
export async function takeLeadership(db: Db, { name, token }: LeadershipClaim, seconds: number): Promise<boolean> {
  const changed = await execute(
    db,
    `UPDATE leaders SET token = ?, expires_at = ${IN_SECONDS} WHERE name = ? AND (token = ? OR token IS NULL OR expires_at <= UTC_TIMESTAMP(3))`,
    [token, seconds, name, token],
  );
  return changed === 1;
}

/** Whether the lead is still ours; locks the row, so that within a transaction nobody else takes it before the end. */
export async function holdsLeadership(db: Db, { name, token }: LeadershipClaim): Promise<boolean> {
  return (await execute(db, 'UPDATE leaders SET token = token WHERE name = ? AND token = ? AND expires_at > UTC_TIMESTAMP(3)', [name, token])) === 1;
}

/** Hands the lead back, so that another one need not wait for it to expire. Nothing when it is not ours. */
export async function handBackLeadership(db: Db, { name, token }: LeadershipClaim): Promise<void> {
  await execute(db, 'UPDATE leaders SET token = NULL WHERE name = ? AND token = ?', [name, token]);
}

export interface LeadershipClaim {
  name: string;
  token: string;
}
