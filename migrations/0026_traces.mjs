/**
 * The act that caused work which another process does later: its W3C traceparent, and the id of its request. They are NULL for work that the
 * release before ordered, which names the columns that it writes. An event stores the id of the trace that recorded it.
 */
const OF_ACT = "CHAR(55) CHARACTER SET ascii NULL COMMENT 'of the act that ordered the work'";
const OF_REQUEST = "CHAR(36) CHARACTER SET ascii NULL COMMENT 'of the call that ordered the work'";
const TABLES = {
  placements: [['traceparent', OF_ACT], ['request_id', OF_REQUEST]],
  nodes: [['wipe_traceparent', OF_ACT], ['wipe_request_id', OF_REQUEST]],
  events: [['trace_id', 'CHAR(32) CHARACTER SET ascii NULL']],
};

export async function up(statements) {
  for (const [table, columns] of Object.entries(TABLES)) {
    const added = columns.map(([name, type]) => `ADD COLUMN IF NOT EXISTS ${name} ${type}`).join(', ');
    await statements.raw(`ALTER TABLE ${table} ${added}, ALGORITHM=INSTANT, LOCK=NONE`);
  }
}

export async function down(statements) {
  for (const [table, columns] of Object.entries(TABLES)) {
    const dropped = columns.map(([name]) => `DROP COLUMN IF EXISTS ${name}`).join(', ');
    await statements.raw(`ALTER TABLE ${table} ${dropped}, ALGORITHM=INSTANT, LOCK=NONE`);
  }
}
