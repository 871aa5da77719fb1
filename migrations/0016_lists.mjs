/** Pages of running leases, newest first, without a look at those that are over. History only grows. */
export async function up(statements) {
  await statements.raw('ALTER TABLE leases ADD KEY IF NOT EXISTS leases_state (state, id), ALGORITHM=INPLACE, LOCK=NONE');
}

export async function down(statements) {
  await statements.raw('ALTER TABLE leases DROP KEY IF EXISTS leases_state, ALGORITHM=INPLACE, LOCK=NONE');
}
