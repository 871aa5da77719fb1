import { execute, selectFirst } from '../../../db/sql';
import type { Tx } from '../../../db/transaction';

/**
 * The number of what this is a hash of: the same for all who say the same, and larger than that of anything said before. It follows the database's clock, so that it
 * grows over a restored database too.
 */
export async function numberStatement(tx: Tx, contentHash: string): Promise<number> {
  await execute(
    tx,
    `INSERT INTO management_statement (id, content_hash, serial) VALUES (1, ?, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000)
     ON DUPLICATE KEY UPDATE serial = IF(content_hash = VALUES(content_hash), serial, GREATEST(serial + 1, VALUES(serial))), content_hash = VALUES(content_hash)`,
    [contentHash],
  );
  const row = await selectFirst<{ serial: number }>(tx, 'SELECT serial FROM management_statement WHERE id = 1');
  if (!row) {
    throw new Error('the number of the management statement vanished');
  }
  return row.serial;
}
