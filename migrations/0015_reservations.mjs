/**
 * `users.reservations`: counts the transactions that reserved nodes for a user on a cluster. Each of them writes the user's row, because the quota rests on it: a
 * server of a cluster does not see the row locks of the others, and of two transactions that write one row the cluster refuses the later one.
 */
export async function up(statements) {
  await statements.raw('ALTER TABLE users ADD COLUMN IF NOT EXISTS reservations BIGINT UNSIGNED NOT NULL DEFAULT 0, ALGORITHM=INSTANT, LOCK=NONE');
}

export async function down(statements) {
  await statements.raw('ALTER TABLE users DROP COLUMN IF EXISTS reservations, ALGORITHM=INSTANT, LOCK=NONE');
}
