/**
 * What operators decide about a node, apart from what the node declares. `nodes.labels` stays what placement matches: the operator's labels and, under a prefix,
 * the node's. NULL in `operator_labels`: a row of the release before, whose labels all count as the operator's. The column is MEDIUMTEXT, not JSON: the check that
 * comes with JSON would make the server copy the table.
 *
 * `pending_gate` has one row. Whoever admits a machine that waits for approval writes to it, so that replicas count those machines one after the other.
 */
export async function up(knex) {
  await knex.raw(`ALTER TABLE nodes
    ADD COLUMN IF NOT EXISTS operator_labels MEDIUMTEXT CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD COLUMN IF NOT EXISTS max_cpus INT UNSIGNED NULL COMMENT 'the operator counts no more, whatever the node declares',
    ADD COLUMN IF NOT EXISTS max_memory_mb INT UNSIGNED NULL,
    ADD COLUMN IF NOT EXISTS enrolled_from VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'range of addresses, while pending'`);
  await knex.raw('ALTER TABLE join_tokens ADD COLUMN IF NOT EXISTS max_cpus INT UNSIGNED NULL, ADD COLUMN IF NOT EXISTS max_memory_mb INT UNSIGNED NULL');
  await knex.raw('CREATE TABLE IF NOT EXISTS pending_gate (id TINYINT UNSIGNED PRIMARY KEY, passed BIGINT UNSIGNED NOT NULL DEFAULT 0) ENGINE=InnoDB');
  await knex.raw('INSERT IGNORE INTO pending_gate (id) VALUES (1)');
}

export async function down(knex) {
  await knex.raw('DROP TABLE IF EXISTS pending_gate');
  await knex.raw('ALTER TABLE join_tokens DROP COLUMN IF EXISTS max_memory_mb, DROP COLUMN IF EXISTS max_cpus');
  await knex.raw(`ALTER TABLE nodes DROP COLUMN IF EXISTS enrolled_from, DROP COLUMN IF EXISTS max_memory_mb, DROP COLUMN IF EXISTS max_cpus,
    DROP COLUMN IF EXISTS operator_labels`);
}

/** MariaDB commits each DDL statement by itself; a transaction around them would only pretend. */
export const config = { transaction: false };
