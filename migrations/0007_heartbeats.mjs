/**
 * What agents say in their calls home: one narrow row a node, so that a batch of them neither waits for a claim that holds a row of `nodes` nor makes one
 * skip it. Hence no foreign key either: checking it locks the node. No index but the primary key: heartbeats are written thousands of times as often as
 * silence is looked for. `nodes.last_heartbeat_at` is written no more; it stays for replicas of the version before.
 */
export async function up(statements) {
  await statements.raw(
    `CREATE TABLE IF NOT EXISTS heartbeats (
      node_id BIGINT UNSIGNED PRIMARY KEY,
      last_heartbeat_at DATETIME(3) NOT NULL,
      silent_at DATETIME(3) NULL COMMENT 'without another call the agent counts as silent from then on; NULL: not judged',
      load1 DOUBLE NULL,
      memory_free_mb BIGINT UNSIGNED NULL,
      disk_free_mb BIGINT UNSIGNED NULL
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
  await statements.raw('INSERT IGNORE INTO heartbeats (node_id, last_heartbeat_at) SELECT id, last_heartbeat_at FROM nodes WHERE last_heartbeat_at IS NOT NULL');
}

export async function down(statements) {
  await statements.raw(`BEGIN NOT ATOMIC
    IF EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'heartbeats') THEN
      UPDATE nodes JOIN heartbeats ON node_id = id SET nodes.last_heartbeat_at = heartbeats.last_heartbeat_at;
    END IF;
  END`);
  await statements.raw('DROP TABLE IF EXISTS heartbeats');
}
