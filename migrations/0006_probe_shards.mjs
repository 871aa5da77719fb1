/**
 * Who keeps connections to which nodes. `probe_owners`: the schedulers at work, each until `expires_at`; one row a scheduler is renewed, however many
 * shards it owns. `probe_shards`: a node belongs to shard `id % 64`, and a shard to one owner; one whose owner's time is over is anybody's.
 * `nodes.logged_in_at`: for some time after it an answer over a kept connection counts as a probe, then only a fresh login does.
 */
export async function up(knex) {
  await knex.raw(
    `CREATE TABLE probe_owners (
      id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
      expires_at DATETIME(3) NOT NULL
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
  await knex.raw(
    `CREATE TABLE probe_shards (
      shard TINYINT UNSIGNED PRIMARY KEY,
      owner_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
      KEY probe_shards_owner (owner_id)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
  await knex.raw(`INSERT INTO probe_shards (shard) VALUES ${Array.from({ length: 64 }, (_, shard) => `(${shard})`).join(',')}`);
  await knex.raw("ALTER TABLE nodes ADD COLUMN logged_in_at DATETIME(3) NULL COMMENT 'the last good probe that was a fresh login'");
}

export async function down(knex) {
  await knex.raw('ALTER TABLE nodes DROP COLUMN logged_in_at');
  await knex.raw('DROP TABLE probe_shards');
  await knex.raw('DROP TABLE probe_owners');
}

/** MariaDB commits each DDL statement by itself; a transaction around them would only pretend. */
export const config = { transaction: false };
