/**
 * The seal of the audit log: a tree (RFC 6962) over the events, and its signed heads. The scheduler that leads appends the entries. An entry
 * stays when its event is deleted. `nodes` holds the roots of the subtrees that an entry completes, so that a proof reads some rows by their
 * primary key. No older release knows the tables.
 */
export async function up(statements) {
  await statements.raw(
    `CREATE TABLE IF NOT EXISTS audit_entries (
      seq BIGINT UNSIGNED PRIMARY KEY COMMENT 'number of the leaf, from 0 on, without gaps',
      event_id BIGINT UNSIGNED NOT NULL,
      format TINYINT UNSIGNED NOT NULL COMMENT 'which columns of the event are hashed, and how',
      salt BINARY(16) NOT NULL,
      leaf BINARY(32) NOT NULL COMMENT 'SHA-256(0x00, salt, event)',
      nodes VARBINARY(1696) NOT NULL COMMENT 'roots of the subtrees of 2, 4, 8 ... leaves that end with this leaf',
      UNIQUE KEY audit_entries_event (event_id)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
  await statements.raw(
    `CREATE TABLE IF NOT EXISTS audit_heads (
      size BIGINT UNSIGNED PRIMARY KEY,
      root BINARY(32) NOT NULL,
      note VARCHAR(500) NOT NULL COMMENT 'origin, size, root and time, signed (C2SP signed note)',
      public_key VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'ssh-ed25519 base64',
      created_at DATETIME(3) NOT NULL
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  );
  await statements.raw("INSERT IGNORE INTO leaders (name) VALUES ('seal')");
}

export async function down(statements) {
  await statements.raw("DELETE FROM leaders WHERE name = 'seal'");
  await statements.raw('DROP TABLE IF EXISTS audit_heads');
  await statements.raw('DROP TABLE IF EXISTS audit_entries');
}
