/**
 * Trust between nodes and the control plane (docs/adr/0023).
 * - `nodes.credential_id`: how a call names its key: the first 96 of 256 bits of `credential_hash`, so that nodes of before have one.
 * - `nodes.challenged_at`: the challenge that was taken last, in microseconds since 1970; none is taken twice, and no older one.
 * - `join_tokens.public_key`: what a machine's proof of the token is verified with; NULL for tokens of before.
 * - `management_statement`: one row; `serial` grows when what it is a hash of changes.
 */
export async function up(knex) {
  await knex.raw(
    `ALTER TABLE nodes
      ADD COLUMN IF NOT EXISTS credential_id CHAR(24) CHARACTER SET ascii COLLATE ascii_bin AS (LEFT(RTRIM(credential_hash), 24)) PERSISTENT,
      ADD COLUMN IF NOT EXISTS challenged_at BIGINT UNSIGNED NOT NULL DEFAULT 0,
      ADD KEY IF NOT EXISTS nodes_credential_id (credential_id)`,
  );
  await knex.raw('ALTER TABLE join_tokens ADD COLUMN IF NOT EXISTS public_key CHAR(43) CHARACTER SET ascii COLLATE ascii_bin NULL');
  await knex.raw(
    `CREATE TABLE IF NOT EXISTS management_statement (
      id TINYINT UNSIGNED PRIMARY KEY,
      content_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
      serial BIGINT UNSIGNED NOT NULL
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
}

export async function down(knex) {
  await knex.raw('DROP TABLE IF EXISTS management_statement');
  await knex.raw('ALTER TABLE join_tokens DROP COLUMN IF EXISTS public_key');
  await knex.raw('ALTER TABLE nodes DROP KEY IF EXISTS nodes_credential_id, DROP COLUMN IF EXISTS challenged_at, DROP COLUMN IF EXISTS credential_id');
}

/** MariaDB commits each DDL statement by itself; a transaction around them would only pretend. */
export const config = { transaction: false };
