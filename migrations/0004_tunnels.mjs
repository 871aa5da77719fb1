/**
 * The way to a node. `tunnel_holders`: the API replicas that hold agents' tunnels, each until `expires_at`; one row a replica is renewed, however many
 * tunnels it holds. `tunnels`: which of them holds a node's. A node has at most one; a new one takes the row over.
 */
export async function up(statements) {
  await statements.raw(
    `CREATE TABLE IF NOT EXISTS tunnel_holders (
      id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
      url VARCHAR(255) CHARACTER SET ascii NOT NULL COMMENT 'where the others of the control plane reach it',
      expires_at DATETIME(3) NOT NULL
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
  await statements.raw(
    `CREATE TABLE IF NOT EXISTS tunnels (
      node_id BIGINT UNSIGNED PRIMARY KEY,
      token CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'of this one tunnel',
      holder_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
      opened_at DATETIME(3) NOT NULL DEFAULT UTC_TIMESTAMP(3),
      KEY tunnels_holder (holder_id),
      CONSTRAINT tunnels_node FOREIGN KEY (node_id) REFERENCES nodes (id)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
  await statements.raw(
    `ALTER TABLE nodes
      ADD COLUMN IF NOT EXISTS reach ENUM('direct','tunnel') NOT NULL DEFAULT 'direct' COMMENT 'the way that the last good probe took',
      ADD COLUMN IF NOT EXISTS direct_tried_at DATETIME(3) NULL COMMENT 'when the direct way was last tried in vain'`,
  );
}

export async function down(statements) {
  await statements.raw('ALTER TABLE nodes DROP COLUMN IF EXISTS reach, DROP COLUMN IF EXISTS direct_tried_at');
  await statements.raw('DROP TABLE IF EXISTS tunnels');
  await statements.raw('DROP TABLE IF EXISTS tunnel_holders');
}
