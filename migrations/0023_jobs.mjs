/**
 * What each job of each replica did last. A replica writes its own rows alone, every few seconds, so no replica waits for another one.
 * The reports of other replicas of the role remove the rows of a replica that is gone. Without such a replica the last rows stay.
 * No older release knows the table.
 */
export async function up(statements) {
  await statements.raw(
    `CREATE TABLE IF NOT EXISTS job_reports (
      replica_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
      job VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
      role VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
      description VARCHAR(255) NOT NULL,
      period_ms INT UNSIGNED NOT NULL,
      concurrency INT UNSIGNED NOT NULL,
      last_pass_at DATETIME(3) NULL COMMENT 'when the last pass began',
      last_run_at DATETIME(3) NULL COMMENT 'when the last run ended',
      last_duration_ms INT UNSIGNED NULL COMMENT 'of that run',
      last_error VARCHAR(500) NULL COMMENT 'of a pass or a run, without secrets',
      last_error_at DATETIME(3) NULL,
      reported_at DATETIME(3) NOT NULL,
      PRIMARY KEY (replica_id, job),
      KEY job_reports_age (reported_at)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
}

export async function down(statements) {
  await statements.raw('DROP TABLE IF EXISTS job_reports');
}
