/** Roles of which one process at a time is at work: it leads by its token until `expires_at`, and anybody may take over after that. */
export async function up(statements) {
  await statements.raw(
    `CREATE TABLE IF NOT EXISTS leaders (
      name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
      token CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'NULL: nobody leads',
      expires_at DATETIME(3) NOT NULL DEFAULT UTC_TIMESTAMP(3)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
  await statements.raw("INSERT IGNORE INTO leaders (name) VALUES ('autoscaler')");
}

export async function down(statements) {
  await statements.raw('DROP TABLE IF EXISTS leaders');
}
