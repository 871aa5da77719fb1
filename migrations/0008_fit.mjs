/**
 * How big a node is, in one number: the order in which rents try nodes, so that the index alone gives the tightest fit and a claim can lock
 * what it takes in one statement. The weights are those of `modules/nodes/choose`.
 */
export async function up(statements) {
  await statements.raw(`ALTER TABLE nodes
    ADD COLUMN IF NOT EXISTS fit BIGINT UNSIGNED AS (CAST(cpus AS UNSIGNED) * 2048 + memory_mb) PERSISTENT,
    DROP INDEX IF EXISTS nodes_leasable,
    ADD KEY nodes_leasable (leasable, fit, id, cpus, memory_mb)`);
}

export async function down(statements) {
  await statements.raw('ALTER TABLE nodes DROP INDEX IF EXISTS nodes_leasable, DROP COLUMN IF EXISTS fit, ADD KEY nodes_leasable (leasable, cpus, memory_mb, id)');
}
