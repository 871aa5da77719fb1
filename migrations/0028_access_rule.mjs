/**
 * Which settings an account's access was made under: of the gateway's key, and of whether the account admits the gateway alone. An account
 * that an older release made has ''. Where a gateway is configured it is then made up to date once.
 */
export async function up(statements) {
  await statements.raw("ALTER TABLE placements ADD COLUMN IF NOT EXISTS access_rule VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '', ALGORITHM=INSTANT, LOCK=NONE");
}

export async function down(statements) {
  await statements.raw('ALTER TABLE placements DROP COLUMN IF EXISTS access_rule, ALGORITHM=INSTANT, LOCK=NONE');
}
