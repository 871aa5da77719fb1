/** An order to move a lease away holds until it is carried out: the account may still be in the making when it is given. */
export async function up(statements) {
  await statements.raw("ALTER TABLE nodes ADD COLUMN IF NOT EXISTS evacuating TINYINT(1) NOT NULL DEFAULT 0 COMMENT 'drained, and its lease is to go elsewhere'");
  await statements.raw("UPDATE nodes LEFT JOIN leases ON leases.id = nodes.lease_id SET nodes.evacuating = 1 WHERE nodes.leaving = 1 OR (nodes.drained = 1 AND leases.state = 'migrating')");
}

export async function down(statements) {
  await statements.raw('ALTER TABLE nodes DROP COLUMN IF EXISTS evacuating');
}
