/**
 * Lets rights be judged again after they were granted. The API refuses tokens from before `tokens_valid_from`. A rent compares `access_version` to find out
 * whether the keys that it read changed meanwhile. A scheduler brings an account on a machine up to date while `access_applied` is behind `access_wanted`, or
 * `applied_ends_at` differs from the end of the lease. An older release writes none of these columns, so its accounts count as out of date.
 */
export async function up(knex) {
  await knex.raw(`ALTER TABLE users
    ADD COLUMN IF NOT EXISTS tokens_valid_from DATETIME(3) NULL,
    ADD COLUMN IF NOT EXISTS access_version INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'grows when the keys change, or who may use them'`);
  await knex.raw(`ALTER TABLE placements
    ADD COLUMN IF NOT EXISTS access_wanted INT UNSIGNED NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS access_applied INT UNSIGNED NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS applied_ends_at DATETIME(3) NULL`);
}

export async function down(knex) {
  await knex.raw('ALTER TABLE placements DROP COLUMN IF EXISTS applied_ends_at, DROP COLUMN IF EXISTS access_applied, DROP COLUMN IF EXISTS access_wanted');
  await knex.raw('ALTER TABLE users DROP COLUMN IF EXISTS access_version, DROP COLUMN IF EXISTS tokens_valid_from');
}

/** MariaDB commits each DDL statement by itself; a transaction around them would only pretend. */
export const config = { transaction: false };
