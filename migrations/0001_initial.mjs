/**
 * The whole schema. The invariants that a schema can hold are here and not only in code:
 * - I1: `leases.occupied_node_id` is UNIQUE, so two leases can never hold one node, whatever a claim does wrong.
 * - I2: `placements.current_lease_id` is UNIQUE, so a lease has at most one current placement; (lease_id, generation) is UNIQUE.
 * - I3: `rents (user_id, idempotency_key)` is UNIQUE.
 * - uids are never used twice on a node: `placements (node_id, uid)` is UNIQUE.
 * Every claim has one index that serves its filter and its order: nodes_leasable, nodes_probe_due, nodes_wipe_due,
 * placements_due, leases_state_due, leases_state_end.
 *
 * A `*_due_at` column next to a `*_token` column is a queue: due rows are those with `due_at <= now`; a claim writes its token
 * and moves `due_at` to the moment at which the claim lapses, so that one index serves both; NULL means "nothing to do".
 */
const TABLES = [
  `CREATE TABLE IF NOT EXISTS users (
    id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    username VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    password_hash VARCHAR(255) CHARACTER SET ascii NOT NULL,
    role ENUM('user','admin') NOT NULL DEFAULT 'user',
    max_leases INT UNSIGNED NOT NULL,
    max_lease_hours INT UNSIGNED NOT NULL,
    disabled_at DATETIME(3) NULL,
    created_at DATETIME(3) NOT NULL DEFAULT UTC_TIMESTAMP(3),
    UNIQUE KEY users_username (username)
  )`,
  `CREATE TABLE IF NOT EXISTS user_keys (
    id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    user_id BIGINT UNSIGNED NOT NULL,
    name VARCHAR(64) NOT NULL,
    public_key VARCHAR(4096) CHARACTER SET ascii NOT NULL,
    fingerprint VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT UTC_TIMESTAMP(3),
    UNIQUE KEY user_keys_fingerprint (user_id, fingerprint),
    CONSTRAINT user_keys_user FOREIGN KEY (user_id) REFERENCES users (id)
  )`,
  `CREATE TABLE IF NOT EXISTS revoked_tokens (
    jti CHAR(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
    expires_at DATETIME(3) NOT NULL,
    KEY revoked_tokens_expiry (expires_at)
  )`,
  `CREATE TABLE IF NOT EXISTS rate_limits (
    \`key\` VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY,
    points INT NOT NULL DEFAULT 0,
    expire BIGINT UNSIGNED NULL
  )`,
  `CREATE TABLE IF NOT EXISTS join_tokens (
    id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(64) NOT NULL,
    token_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    max_uses INT UNSIGNED NOT NULL,
    uses INT UNSIGNED NOT NULL DEFAULT 0,
    labels JSON NOT NULL,
    expires_at DATETIME(3) NOT NULL,
    revoked_at DATETIME(3) NULL,
    created_by BIGINT UNSIGNED NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT UTC_TIMESTAMP(3),
    UNIQUE KEY join_tokens_hash (token_hash),
    CONSTRAINT join_tokens_uses CHECK (uses <= max_uses),
    CONSTRAINT join_tokens_creator FOREIGN KEY (created_by) REFERENCES users (id)
  )`,
  `CREATE TABLE IF NOT EXISTS nodes (
    id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    hostname VARCHAR(253) NOT NULL,
    address VARCHAR(253) NOT NULL,
    ssh_port SMALLINT UNSIGNED NOT NULL,
    host_key VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    host_key_fingerprint VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'NULL once retired: the machine may enrol anew',
    offered_host_key VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'a changed key that waits for an operator',
    credential_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    status ENUM('pending','unknown','alive','suspect','dead','quarantined','retired') NOT NULL,
    status_reason VARCHAR(500) NULL,
    status_since DATETIME(3) NOT NULL DEFAULT UTC_TIMESTAMP(3),
    drained TINYINT(1) NOT NULL DEFAULT 0,
    leaving TINYINT(1) NOT NULL DEFAULT 0,
    dirty TINYINT(1) NOT NULL DEFAULT 1,
    lease_id BIGINT UNSIGNED NULL COMMENT 'the occupying lease; mirrors leases.occupied_node_id',
    leasable TINYINT(1) AS (status = 'alive' AND drained = 0 AND dirty = 0 AND lease_id IS NULL) PERSISTENT,
    cpus INT UNSIGNED NOT NULL DEFAULT 1,
    memory_mb INT UNSIGNED NOT NULL DEFAULT 0,
    labels JSON NOT NULL,
    facts JSON NOT NULL,
    last_death_at DATETIME(3) NULL,
    last_leased_at DATETIME(3) NULL,
    next_uid INT UNSIGNED NOT NULL,
    probe_due_at DATETIME(3) NULL,
    probe_token CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
    probe_failures INT UNSIGNED NOT NULL DEFAULT 0,
    first_failed_at DATETIME(3) NULL,
    last_checked_at DATETIME(3) NULL,
    last_heartbeat_at DATETIME(3) NULL,
    wipe_due_at DATETIME(3) NULL,
    wipe_token CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
    wipe_failures INT UNSIGNED NOT NULL DEFAULT 0,
    wiped_at DATETIME(3) NULL,
    provision_failures INT UNSIGNED NOT NULL DEFAULT 0,
    registered_at DATETIME(3) NOT NULL DEFAULT UTC_TIMESTAMP(3),
    created_at DATETIME(3) NOT NULL DEFAULT UTC_TIMESTAMP(3),
    UNIQUE KEY nodes_host_key (host_key_fingerprint),
    UNIQUE KEY nodes_credential (credential_hash),
    UNIQUE KEY nodes_lease (lease_id),
    KEY nodes_leasable (leasable, cpus, memory_mb, id),
    KEY nodes_probe_due (probe_due_at, id),
    KEY nodes_wipe_due (wipe_due_at, id),
    KEY nodes_heartbeat (status, last_heartbeat_at)
  )`,
  `CREATE TABLE IF NOT EXISTS rents (
    id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    user_id BIGINT UNSIGNED NOT NULL,
    idempotency_key VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
    request_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT UTC_TIMESTAMP(3),
    UNIQUE KEY rents_idempotency (user_id, idempotency_key),
    CONSTRAINT rents_user FOREIGN KEY (user_id) REFERENCES users (id)
  )`,
  `CREATE TABLE IF NOT EXISTS leases (
    id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    rent_id BIGINT UNSIGNED NOT NULL,
    user_id BIGINT UNSIGNED NOT NULL,
    state ENUM('provisioning','active','migrating','ending','ended','failed') NOT NULL,
    generation INT UNSIGNED NOT NULL DEFAULT 1,
    occupied_node_id BIGINT UNSIGNED NULL,
    requirements JSON NOT NULL,
    public_keys JSON NOT NULL,
    password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
    created_at DATETIME(3) NOT NULL DEFAULT UTC_TIMESTAMP(3),
    ends_at DATETIME(3) NOT NULL,
    due_at DATETIME(3) NULL COMMENT 'when a migrating lease is looked at next',
    migrating_since DATETIME(3) NULL,
    waiting_since DATETIME(3) NULL COMMENT 'set while a migrating lease finds no node',
    activated_at DATETIME(3) NULL,
    ended_at DATETIME(3) NULL,
    end_reason VARCHAR(64) NULL,
    UNIQUE KEY leases_occupied_node (occupied_node_id),
    KEY leases_user (user_id, id),
    KEY leases_state_due (state, due_at),
    KEY leases_state_end (state, ends_at),
    CONSTRAINT leases_rent FOREIGN KEY (rent_id) REFERENCES rents (id),
    CONSTRAINT leases_owner FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT leases_node FOREIGN KEY (occupied_node_id) REFERENCES nodes (id),
    CONSTRAINT leases_occupancy CHECK ((state IN ('provisioning','active','migrating')) = (occupied_node_id IS NOT NULL)),
    CONSTRAINT leases_time CHECK (ends_at > created_at)
  )`,
  `ALTER TABLE nodes ADD CONSTRAINT nodes_occupant FOREIGN KEY IF NOT EXISTS (lease_id) REFERENCES leases (id)`,
  `CREATE TABLE IF NOT EXISTS placements (
    id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    lease_id BIGINT UNSIGNED NOT NULL,
    node_id BIGINT UNSIGNED NOT NULL,
    generation INT UNSIGNED NOT NULL,
    current_lease_id BIGINT UNSIGNED NULL COMMENT 'lease_id while current, else NULL',
    state ENUM('creating','present','wiping','wiped') NOT NULL,
    username VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    uid INT UNSIGNED NOT NULL,
    due_at DATETIME(3) NULL,
    claim_token CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
    attempts INT UNSIGNED NOT NULL DEFAULT 0,
    last_error VARCHAR(1000) NULL,
    report JSON NULL,
    created_at DATETIME(3) NOT NULL DEFAULT UTC_TIMESTAMP(3),
    present_at DATETIME(3) NULL,
    wiped_at DATETIME(3) NULL,
    UNIQUE KEY placements_generation (lease_id, generation),
    UNIQUE KEY placements_current (current_lease_id),
    UNIQUE KEY placements_uid (node_id, uid),
    UNIQUE KEY placements_username (username),
    KEY placements_due (due_at, id),
    KEY placements_node_state (node_id, state),
    CONSTRAINT placements_lease FOREIGN KEY (lease_id) REFERENCES leases (id),
    CONSTRAINT placements_node FOREIGN KEY (node_id) REFERENCES nodes (id),
    CONSTRAINT placements_currency CHECK ((state IN ('creating','present')) = (current_lease_id IS NOT NULL)),
    CONSTRAINT placements_same_lease CHECK (current_lease_id IS NULL OR current_lease_id = lease_id)
  )`,
  `CREATE TABLE IF NOT EXISTS extensions (
    id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    lease_id BIGINT UNSIGNED NOT NULL,
    idempotency_key VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ends_before DATETIME(3) NOT NULL,
    ends_after DATETIME(3) NOT NULL,
    extended_by BIGINT UNSIGNED NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT UTC_TIMESTAMP(3),
    UNIQUE KEY extensions_idempotency (lease_id, idempotency_key),
    CONSTRAINT extensions_lease FOREIGN KEY (lease_id) REFERENCES leases (id),
    CONSTRAINT extensions_forward CHECK (ends_after > ends_before)
  )`,
  `CREATE TABLE IF NOT EXISTS events (
    id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    at DATETIME(3) NOT NULL DEFAULT UTC_TIMESTAMP(3),
    type VARCHAR(64) CHARACTER SET ascii NOT NULL,
    actor VARCHAR(64) NOT NULL,
    lease_id BIGINT UNSIGNED NULL,
    node_id BIGINT UNSIGNED NULL,
    user_id BIGINT UNSIGNED NULL,
    data JSON NOT NULL,
    KEY events_lease (lease_id, id),
    KEY events_node (node_id, id),
    KEY events_at (at)
  )`,
  `CREATE TABLE IF NOT EXISTS control_plane (
    id TINYINT UNSIGNED PRIMARY KEY,
    last_tick_at DATETIME(3) NOT NULL COMMENT 'the last time any scheduler was at work',
    judged_since DATETIME(3) NOT NULL COMMENT 'failures from before this moment count for nothing (I8)',
    brake_since DATETIME(3) NULL COMMENT 'set while most of the fleet fails at once and migration stands still (I8)',
    CONSTRAINT control_plane_one_row CHECK (id = 1)
  )`,
  `INSERT IGNORE INTO control_plane (id, last_tick_at, judged_since) VALUES (1, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3))`,
];

export async function up(statements) {
  for (const statement of TABLES) {
    await statements.raw(statement.startsWith('CREATE TABLE') ? `${statement} ENGINE=InnoDB DEFAULT CHARSET=utf8mb4` : statement);
  }
}

export async function down(statements) {
  await statements.raw('ALTER TABLE IF EXISTS nodes DROP FOREIGN KEY IF EXISTS nodes_occupant');
  for (const table of ['control_plane', 'events', 'extensions', 'placements', 'leases', 'rents', 'nodes', 'join_tokens', 'rate_limits', 'revoked_tokens', 'user_keys', 'users']) {
    await statements.raw(`DROP TABLE IF EXISTS ${table}`);
  }
}
