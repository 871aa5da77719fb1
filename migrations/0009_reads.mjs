/**
 * Reads that cost the same with any number of rows: the page of free nodes (`nodes_free`; InnoDB ends each index with the id), pages and counts by status, a
 * user's occupied nodes without his history, and "could any node ever do" for what is too big. Status and size hardly ever change, so keeping these
 * indexes costs nothing while the fleet is at rest.
 */
export async function up(statements) {
  await statements.raw('ALTER TABLE nodes ADD KEY IF NOT EXISTS nodes_free (leasable), ADD KEY IF NOT EXISTS nodes_status (status), ADD KEY IF NOT EXISTS nodes_size (cpus, memory_mb)');
  await statements.raw('ALTER TABLE leases ADD KEY IF NOT EXISTS leases_user_node (user_id, occupied_node_id)');
}

export async function down(statements) {
  await statements.raw('ALTER TABLE nodes DROP KEY IF EXISTS nodes_free, DROP KEY IF EXISTS nodes_status, DROP KEY IF EXISTS nodes_size');
  await statements.raw('ALTER TABLE leases DROP KEY IF EXISTS leases_user_node');
}
