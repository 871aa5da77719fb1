/**
 * Each API deletes the counters of its rate limits an hour after they expired. Without this index the deletion reads the whole table. The
 * history itself needs no other index: `events_at` and `leases_state_end` give old rows in their order.
 */
export async function up(statements) {
  await statements.raw('ALTER TABLE rate_limits ADD KEY IF NOT EXISTS rate_limits_expire (expire), ALGORITHM=INPLACE, LOCK=NONE');
}

export async function down(statements) {
  await statements.raw('ALTER TABLE rate_limits DROP KEY IF EXISTS rate_limits_expire, ALGORITHM=INPLACE, LOCK=NONE');
}
