/** A join token may be issued by whoever holds the database's password (`orion admin join-token`), who is no user: `created_by` is NULL then. */
const creator = (nullable) => `ALTER TABLE join_tokens MODIFY created_by BIGINT UNSIGNED ${nullable}`;

export async function up(knex) {
  await knex.raw(creator('NULL'));
}

export async function down(knex) {
  await knex.raw('DELETE FROM join_tokens WHERE created_by IS NULL');
  await knex.raw(creator('NOT NULL'));
}

/** MariaDB commits each DDL statement by itself; a transaction around them would only pretend. */
export const config = { transaction: false };
