import { execute, selectFirst } from '../../../db/sql';
import type { Db } from '../../../db/transaction';

/** Reads the database's clock, in microseconds since 1970. */
export async function readMicros(db: Db): Promise<number> {
  return Number((await selectFirst<{ now: number }>(db, "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) AS now"))?.now);
}

/** Marks the challenge that was issued at `issuedAt` as used. False: the node has already answered this challenge or a later one. */
export async function takeChallenge(db: Db, nodeId: number, issuedAt: number): Promise<boolean> {
  return (await execute(db, 'UPDATE nodes SET challenged_at = ? WHERE id = ? AND challenged_at < ?', [issuedAt, nodeId, issuedAt])) === 1;
}
