/** A join token may be issued by whoever holds the database's password (`orion admin join-token`), who is no user: `created_by` is NULL then. */
const creator = (nullable) => `ALTER TABLE join_tokens MODIFY created_by BIGINT UNSIGNED ${nullable}`;

export async function up(statements) {
  await statements.raw(creator('NULL'));
}

export async function down(statements) {
  await statements.raw('DELETE FROM join_tokens WHERE created_by IS NULL');
  await statements.raw(creator('NOT NULL'));
}
