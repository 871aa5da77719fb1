/**
 * The audit log: how an act ended, and where it came from (address, request, access token). They are NULL in events of work that no call
 * caused, and of the release before, which names the columns that it writes. The indexes serve the filters of `GET /api/audit`.
 */
const COLUMNS = [
  ['outcome', "ENUM('done','refused','failed') NULL COMMENT 'NULL: recorded by a release that did not know it'"],
  ['address', "VARCHAR(64) CHARACTER SET ascii NULL COMMENT 'of the caller'"],
  ['request_id', 'CHAR(36) CHARACTER SET ascii NULL'],
  ['token_id', "CHAR(36) CHARACTER SET ascii NULL COMMENT 'jti of the access token'"],
];
const KEYS = { events_type: '(type, id)', events_actor: '(actor, id)', events_user: '(user_id, id)' };

export async function up(statements) {
  const columns = COLUMNS.map(([name, type]) => `ADD COLUMN IF NOT EXISTS ${name} ${type}`).join(', ');
  await statements.raw(`ALTER TABLE events ${columns}, ALGORITHM=INSTANT, LOCK=NONE`);
  const keys = Object.entries(KEYS).map(([name, key]) => `ADD KEY IF NOT EXISTS ${name} ${key}`).join(', ');
  await statements.raw(`ALTER TABLE events ${keys}, ALGORITHM=INPLACE, LOCK=NONE`);
}

export async function down(statements) {
  const keys = Object.keys(KEYS).map((name) => `DROP KEY IF EXISTS ${name}`).join(', ');
  await statements.raw(`ALTER TABLE events ${keys}, ALGORITHM=INPLACE, LOCK=NONE`);
  const columns = COLUMNS.map(([name]) => `DROP COLUMN IF EXISTS ${name}`).join(', ');
  await statements.raw(`ALTER TABLE events ${columns}, ALGORITHM=INSTANT, LOCK=NONE`);
}
