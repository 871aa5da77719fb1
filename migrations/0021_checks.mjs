/**
 * What a machine was found to be able to do when it was last looked at, as JSON; NULL: not looked at yet. A node that fails a check stays dirty, so an older release
 * leases it no more than this one. MEDIUMTEXT, not JSON: the check that comes with JSON would make the server copy the table.
 */
export async function up(statements) {
  await statements.raw(`ALTER TABLE nodes
    ADD COLUMN IF NOT EXISTS checks MEDIUMTEXT NULL,
    ADD COLUMN IF NOT EXISTS checked_at DATETIME(3) NULL COMMENT 'when the checks last failed or passed',
    ADD COLUMN IF NOT EXISTS withheld_looks INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'wipes in a row after which it was not leased'`);
}

export async function down(statements) {
  await statements.raw('ALTER TABLE nodes DROP COLUMN IF EXISTS withheld_looks, DROP COLUMN IF EXISTS checked_at, DROP COLUMN IF EXISTS checks');
}
