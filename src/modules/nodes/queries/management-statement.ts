import { execute, selectFirst } from '../../../db/sql';
import type { Tx } from '../../../db/transaction';

/**
 * Returns the number of the management statement with this content hash. The same content keeps its number, and new content gets a higher
 * number than all before. The number follows the database's clock, so that it also grows after the database was restored.
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
