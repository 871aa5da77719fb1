/**
 * Uids of the fleet. `uid_blocks` holds every block of 64 numbers that was ever given to a node; no row is deleted, so no number is given twice. The first block of
 * a pool's sequence follows the pool's last one: pool 0 is the fleet's range, any other pool is named by the number that it begins at. `nodes.uid_end` is the
 * end of the node's block, exclusive. It is NULL until the next verified wipe, in a row of an older release too: such a node goes on counting `next_uid`.
 *
 * Older releases began every node at the same number, so the blocks that hold numbers of theirs count as given. `nodes.withheld_reason` says why a wiped node is
 * not leased: it stays dirty, which an older release respects. The lists are MEDIUMTEXT, not JSON: the check that comes with JSON would make the server copy
 * the table.
 */
export async function up(statements) {
  await statements.raw(`CREATE TABLE IF NOT EXISTS uid_blocks (
    first INT UNSIGNED PRIMARY KEY,
    pool INT UNSIGNED NULL COMMENT 'NULL: numbers that an older release gave',
    node_id BIGINT UNSIGNED NULL COMMENT 'NULL: given to no node, and never will be',
    allocated_at DATETIME(3) NOT NULL DEFAULT UTC_TIMESTAMP(3),
    KEY uid_blocks_pool (pool, first)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`);
  await statements.raw(`ALTER TABLE nodes
    ADD COLUMN IF NOT EXISTS uid_end INT UNSIGNED NULL,
    ADD COLUMN IF NOT EXISTS uid_range_first INT UNSIGNED NULL COMMENT 'the machine must use this range instead of the fleet''s',
    ADD COLUMN IF NOT EXISTS uid_range_last INT UNSIGNED NULL,
    ADD COLUMN IF NOT EXISTS uid_refusal VARCHAR(500) NULL COMMENT 'why the machine refused several uids in a row',
    ADD COLUMN IF NOT EXISTS shared_storage ENUM('allow','refuse') NOT NULL DEFAULT 'allow',
    ADD COLUMN IF NOT EXISTS not_examined MEDIUMTEXT CHARACTER SET utf8mb4 NULL COMMENT 'JSON: file systems that no wipe walks',
    ADD COLUMN IF NOT EXISTS withheld_reason VARCHAR(500) NULL,
    ALGORITHM=INSTANT, LOCK=NONE`);
  await statements.raw('INSERT IGNORE INTO uid_blocks (first) SELECT DISTINCT uid DIV 64 * 64 FROM placements');
  await statements.raw('INSERT IGNORE INTO uid_blocks (first) SELECT DISTINCT next_uid DIV 64 * 64 FROM nodes');
}

export async function down(statements) {
  await statements.raw(`ALTER TABLE nodes DROP COLUMN IF EXISTS withheld_reason, DROP COLUMN IF EXISTS not_examined, DROP COLUMN IF EXISTS shared_storage,
    DROP COLUMN IF EXISTS uid_refusal, DROP COLUMN IF EXISTS uid_range_last, DROP COLUMN IF EXISTS uid_range_first, DROP COLUMN IF EXISTS uid_end,
    ALGORITHM=INSTANT, LOCK=NONE`);
  await statements.raw('DROP TABLE IF EXISTS uid_blocks');
}
