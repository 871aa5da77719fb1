/**
 * Reads that cost the same with any number of rows: the page of free nodes (`nodes_free`; InnoDB ends each index with the id), pages and counts by status, a
 * user's occupied nodes without his history, and "could any node ever do" for what is too big. Status and size hardly ever change, so keeping these
 * indexes costs nothing while the fleet is at rest.
 */
export async function up(knex) {
  await knex.raw('ALTER TABLE nodes ADD KEY nodes_free (leasable), ADD KEY nodes_status (status), ADD KEY nodes_size (cpus, memory_mb)');
  await knex.raw('ALTER TABLE leases ADD KEY leases_user_node (user_id, occupied_node_id)');
}

export async function down(knex) {
  await knex.raw('ALTER TABLE nodes DROP KEY nodes_free, DROP KEY nodes_status, DROP KEY nodes_size');
  await knex.raw('ALTER TABLE leases DROP KEY leases_user_node');
}

/** MariaDB commits each DDL statement by itself; a transaction around them would only pretend. */
export const config = { transaction: false };
