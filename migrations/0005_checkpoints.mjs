/**
 * One row for each lease that was rented while checkpoints are on; `enabled` is 0 when the tenant wanted none. The queue (`due_at`,
 * `claim_token`) is of the same kind as the others: a running lease is due for its next checkpoint, one that is over for the removal of its files,
 * and NULL means that the store has nothing of it and needs nothing.
 */
export async function up(statements) {
  await statements.raw(`CREATE TABLE IF NOT EXISTS checkpoints (
    lease_id BIGINT UNSIGNED PRIMARY KEY,
    enabled TINYINT(1) NOT NULL,
    due_at DATETIME(3) NULL,
    claim_token CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
    claims INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'numbers the archives: each claim has one of its own',
    begun_at DATETIME(3) NULL COMMENT 'when the last claim was made',
    archives JSON NOT NULL COMMENT 'a full one and what changed since then, in order: all that a restore takes',
    last_at DATETIME(3) NULL COMMENT 'when the last checkpoint that is complete was begun',
    tried_at DATETIME(3) NULL COMMENT 'when the last attempt that came to an end was begun',
    wanted_at DATETIME(3) NULL COMMENT 'since when a fresh one is waited for, to move the lease',
    failures INT UNSIGNED NOT NULL DEFAULT 0,
    last_error VARCHAR(500) NULL,
    KEY checkpoints_due (due_at, lease_id),
    CONSTRAINT checkpoints_lease FOREIGN KEY (lease_id) REFERENCES leases (id),
    CONSTRAINT checkpoints_wanted CHECK (enabled = 1 OR due_at IS NULL)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`);
}

export async function down(statements) {
  await statements.raw('DROP TABLE IF EXISTS checkpoints');
}
