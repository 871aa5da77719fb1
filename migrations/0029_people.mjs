/**
 * Passwords, one-time codes, deleted accounts and sessions. A session is an access token; its row holds no secret and decides nothing: `revoked_tokens` and
 * `users.tokens_valid_from` decide. A deleted account is also disabled, and its hash fits no password, so the release before refuses it too.
 * `sessions` has no foreign key: the check of one locks the user's row, and a rent skips users whose rows are locked.
 */
export async function up(statements) {
  await statements.raw(`ALTER TABLE users
    ADD COLUMN IF NOT EXISTS must_change_password TINYINT(1) NOT NULL DEFAULT 0 COMMENT 'an operator chose the password',
    ADD COLUMN IF NOT EXISTS code_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'SHA-256 of the one-time code; NULL: none, or used',
    ADD COLUMN IF NOT EXISTS code_expires_at DATETIME(3) NULL,
    ADD COLUMN IF NOT EXISTS deleted_at DATETIME(3) NULL,
    ALGORITHM=INSTANT, LOCK=NONE`);
  await statements.raw(
    `CREATE TABLE IF NOT EXISTS sessions (
      token_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY COMMENT 'jti of the access token',
      user_id BIGINT UNSIGNED NOT NULL,
      created_at DATETIME(3) NOT NULL,
      last_used_at DATETIME(3) NOT NULL COMMENT 'to a minute',
      expires_at DATETIME(3) NOT NULL,
      address VARCHAR(64) CHARACTER SET ascii NULL COMMENT 'of the last use',
      client VARCHAR(128) CHARACTER SET ascii NULL COMMENT 'its User-Agent',
      KEY sessions_user (user_id, last_used_at),
      KEY sessions_expiry (expires_at)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
}

export async function down(statements) {
  await statements.raw('DROP TABLE IF EXISTS sessions');
  const columns = ['must_change_password', 'code_hash', 'code_expires_at', 'deleted_at'].map((name) => `DROP COLUMN IF EXISTS ${name}`).join(', ');
  await statements.raw(`ALTER TABLE users ${columns}, ALGORITHM=INSTANT, LOCK=NONE`);
}
