/** Finds the node that was at an address before another one: a machine that was reinstalled has a new host key, and so a new row. */
export async function up(statements) {
  await statements.raw('ALTER TABLE nodes ADD KEY IF NOT EXISTS nodes_address (address, ssh_port, status), ALGORITHM=INPLACE, LOCK=NONE');
}

export async function down(statements) {
  await statements.raw('ALTER TABLE nodes DROP KEY IF EXISTS nodes_address, ALGORITHM=INPLACE, LOCK=NONE');
}
