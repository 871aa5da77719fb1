import { expect } from '@jest/globals';
import type { Knex } from 'knex';
import { rows } from '../../support/database';

/** Count attempts or record them by their nature; every other table stays as it is when a request is refused. */
const MAY_CHANGE = new Set(['rate_limits', 'events', 'sessions']);
const OTHER_EVENTS = "type NOT IN ('access.refused', 'user.login_failed')";

/** A checksum of each table, and of the events that record no refusal: the same before and after means that nothing was changed. */
export async function checksums(db: Knex): Promise<Record<string, string>> {
  const tables = (await rows<Record<string, string>>(db, 'SHOW TABLES'))
    .flatMap((row) => Object.values(row))
    .filter((name) => !MAY_CHANGE.has(name));
  const found = await rows<{ Table: string; Checksum: number | string }>(
    db,
    `CHECKSUM TABLE ${tables.map((name) => `\`${name}\``).join(', ')}`,
  );
  const [events] = await rows<{ sum: string }>(
    db,
    `SELECT COALESCE(SUM(CRC32(CONCAT_WS('|', id, type, actor, data))), 0) AS sum FROM events WHERE ${OTHER_EVENTS}`,
  );
  return {
    ...Object.fromEntries(found.map(({ Table, Checksum }) => [Table.replace(/.*\./, ''), String(Checksum)])),
    events: String(events?.sum),
  };
}

/** What may never stand in an answer: a place in the code, a statement, a password's hash. */
const INSIDE =
  /\bat .*\(?(?:file:\/\/|\/|node:)\S+:\d+:\d+|node_modules|\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM) [\w`*]+|ER_[A-Z_]{4,}|\$argon2|\$6\$|errno|sqlMessage/;

/** Refused in the way that the API promises: 4xx, a problem document with the id of the request, nothing of the inside. */
export function expectRefusal(
  { status, headers, text }: { status: number; headers: Record<string, unknown>; text: string },
  what: string,
): void {
  expect([what, status >= 400 && status < 500 ? 'refused' : `${status} ${text.slice(0, 300)}`]).toEqual([what, 'refused']);
  expect([what, headers['content-type']]).toEqual([what, 'application/problem+json; charset=utf-8']);
  const problem = JSON.parse(text) as Record<string, unknown>;
  expect([what, problem]).toEqual([
    what,
    expect.objectContaining({ status, code: expect.any(String), detail: expect.any(String), request_id: headers['x-request-id'] }),
  ]);
  expect([what, INSIDE.exec(text)?.[0]]).toEqual([what, undefined]);
}
