/**
 * Who keeps connections to which nodes. `probe_owners`: the schedulers at work, each until `expires_at`; one row a scheduler is renewed, however many
 * shards it owns. `probe_shards`: a node belongs to shard `id % 64`, and a shard to one owner; one whose owner's time is over is anybody's.
 * `nodes.logged_in_at`: for some time after it an answer over a kept connection counts as a probe, then only a fresh login does.
 */
export async function up(statements) {
  await statements.raw(
    `CREATE TABLE IF NOT EXISTS probe_owners (
      id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
      expires_at DATETIME(3) NOT NULL
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
  await statements.raw(
    `CREATE TABLE IF NOT EXISTS probe_shards (
      shard TINYINT UNSIGNED PRIMARY KEY,
      owner_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
      KEY probe_shards_owner (owner_id)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
  await statements.raw(`INSERT IGNORE INTO probe_shards (shard) VALUES ${Array.from({ length: 64 }, (_, shard) => `(${shard})`).join(',')}`);
  await statements.raw("ALTER TABLE nodes ADD COLUMN IF NOT EXISTS logged_in_at DATETIME(3) NULL COMMENT 'the last good probe that was a fresh login'");
}

export async function down(statements) {
  await statements.raw('ALTER TABLE nodes DROP COLUMN IF EXISTS logged_in_at');
  await statements.raw('DROP TABLE IF EXISTS probe_shards');
  await statements.raw('DROP TABLE IF EXISTS probe_owners');
}
