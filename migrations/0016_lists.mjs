/** Pages of running leases, of one user and of all: newest first, without a look at those that are over. History only grows. */
export async function up(statements) {
  await statements.raw(
    'ALTER TABLE leases ADD KEY IF NOT EXISTS leases_state (state, id), ADD KEY IF NOT EXISTS leases_user_state (user_id, state, id), ALGORITHM=INPLACE, LOCK=NONE',
  );
}

export async function down(statements) {
  await statements.raw('ALTER TABLE leases DROP KEY IF EXISTS leases_state, DROP KEY IF EXISTS leases_user_state, ALGORITHM=INPLACE, LOCK=NONE');
}
