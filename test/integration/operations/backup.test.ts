import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from '@jest/globals';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import type { Operation } from '../../checker/evidence';
import { checkInvariants } from '../../checker/invariants';
import { readTables } from '../../checker/read-tables';
import { createDatabase } from '../../../src/db/connection';
import { createMigrator } from '../../../src/db/migrate';
import { type DatabaseAccess, eventually, type MariaDb, startMariaDb } from '../../lab';
import { asRoot } from '../../lab/mariadb';
import { startTestApi, type TestApi } from '../../support/api';
import { aUser, severalNodes } from '../../support/builders';
import { migrationsDir } from '../../support/database';
import { useLab } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import type { IssuedJoinToken, Rented } from '../../../src/contract';
import { watchProcesses } from '../security/watch-processes';
import { runScript } from './support';

const NODES = 400;
const CLIENTS = 4;
/** Everything that means something in an option file or in a shell. */
const AWKWARD = 'a "b\' \\c\\ #d $(e) `f` ;%s=';

const lab = useLab();
let source: MariaDb;
let target: MariaDb;
let from: DatabaseAccess;
let file: string;
const history: Operation[] = [];
/** Leases acknowledged before the backup began. */
let acknowledged: number[];

/** Rents one node after the other until told to stop or none is left, and writes everything down. */
async function keepRenting(api: TestApi, user: Awaited<ReturnType<typeof aUser>>, done: AbortSignal): Promise<void> {
  while (!done.aborted) {
    const operation: Operation = {
      kind: 'rent',
      userId: user.id,
      leaseId: null,
      key: null,
      outcome: 'unknown',
      leases: [],
      invokedAt: Date.now(),
      returnedAt: null,
    };
    history.push(operation);
    const { status, body } = await api.call<Rented>('post', '/api/rent', {
      as: user,
      body: { duration_hours: 1, ssh_public_key: anSshKey() },
    });
    operation.returnedAt = Date.now();
    if (status !== 201) {
      operation.outcome = 'fail';
      return;
    }
    operation.outcome = 'ok';
    operation.leases = body.leases.map(({ id, ends_at: endsAt }) => ({ id, endsAt: Date.parse(endsAt) }));
  }
}

const isAcknowledged = ({ outcome }: Operation): boolean => outcome === 'ok';

async function ask<T>(access: DatabaseAccess, sql: string): Promise<T[]> {
  const connection = await mysql.createConnection({ ...access, timezone: 'Z' });
  try {
    return (await connection.query<RowDataPacket[]>(sql))[0] as T[];
  } finally {
    await connection.end();
  }
}

beforeAll(async () => {
  [source, target] = await Promise.all([startMariaDb(lab), startMariaDb(lab)]);
  from = await source.createDatabase();
  file = join(lab.dir, 'backup.sql.gz');
  const db = createDatabase({ ...from, poolSize: 12 });
  lab.push('pool', () => db.destroy());
  await createMigrator(db, migrationsDir).up();
  const api = await startTestApi(db);
  lab.push('api', () => api.close());
  await severalNodes(db, NODES);
  const admin = await aUser(db, { role: 'admin' });
  await api.call<IssuedJoinToken>('post', '/api/tokens', { as: admin, body: { name: 'lab', max_uses: 5 } });
  const users = await Promise.all(Array.from({ length: CLIENTS }, () => aUser(db, { maxLeases: NODES })));

  const done = new AbortController();
  const renting = Promise.all(users.map((user) => keepRenting(api, user, done.signal)));
  await eventually(() => history.filter(isAcknowledged).length >= 20, { what: 'rents are being committed', timeoutMs: 60_000 });
  const before = history.filter(isAcknowledged);
  acknowledged = before.flatMap(({ leases }) => leases.map(({ id }) => id));
  const { code, stderr } = await runScript('backup.sh', [file], from);
  const during = history.filter(isAcknowledged).length - before.length;
  done.abort();
  await renting;
  // What came later may be missing: a backup promises what was acknowledged before it began.
  history
    .filter((operation) => !before.includes(operation))
    .forEach((operation) => Object.assign(operation, { outcome: 'unknown', leases: [] }));
  expect([code, stderr]).toEqual([0, expect.stringContaining(file)]);
  expect(during).toBeGreaterThan(0);
}, 180_000);

/** An empty database on the second server, with a password that has to be quoted. */
async function anEmptyDatabase(): Promise<DatabaseAccess> {
  const access = await target.createDatabase();
  await asRoot(target, (connection) => connection.query("ALTER USER ?@'%' IDENTIFIED BY ?", [access.user, AWKWARD]));
  return { ...access, password: AWKWARD };
}

const countTables = async (access: DatabaseAccess): Promise<number> =>
  (await ask<{ n: number }>(access, 'SELECT COUNT(*) AS n FROM information_schema.tables WHERE table_schema = DATABASE()'))[0]?.n ?? -1;

describe('a backup made while rents are being committed', () => {
  it('is a file for its owner alone, and leaves nothing else', async () => {
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const again = await runScript('backup.sh', [file], from);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('is there already')]);
  });

  it('I1-I10: restored on an empty server it is one moment: every lease that was acknowledged before it began, and no invariant broken', async () => {
    const to = await anEmptyDatabase();
    const watch = watchProcesses();
    const { code, stderr } = await runScript('restore.sh', [file], to, { passwordFile: join(lab.dir, 'password') });
    expect([code, stderr]).toEqual([0, expect.stringContaining('leases that go on')]);
    expect(watch.stop().filter((seen) => seen.includes(AWKWARD) || seen.includes(from.password))).toEqual([]);

    const connection = await mysql.createConnection({ ...(await target.createReader(to.database)), timezone: 'Z' });
    const tables = await readTables(connection);
    await connection.end();
    expect(checkInvariants({ tables, history, nodes: null })).toEqual([]);
    const kept = new Map(tables.leases.map((lease) => [lease.id, lease.endsAt]));
    const ends = history.flatMap(({ leases }) => leases.map(({ id, endsAt }) => [id, endsAt]));
    expect(ends.map(([id = 0]) => [id, kept.get(id)])).toEqual(ends);
    expect(acknowledged.length).toBe(ends.length);
    expect(tables.leases.length).toBeLessThan(NODES);
  }, 60_000);

  it('I5, I6: restored it trusts no node, no claim, no join token, and gives no id a second time', async () => {
    const to = await anEmptyDatabase();
    expect((await runScript('restore.sh', [file], to)).code).toBe(0);
    expect(
      await ask(
        to,
        'SELECT status, dirty, SUM(leasable) AS free, SUM(probe_due_at <= UTC_TIMESTAMP(3)) AS due FROM nodes GROUP BY status, dirty',
      ),
    ).toEqual([{ status: 'unknown', dirty: 1, free: '0', due: String(NODES) }]);
    expect(await ask(to, 'SELECT id FROM placements WHERE claim_token IS NOT NULL')).toEqual([]);
    expect(await ask(to, 'SELECT id FROM join_tokens WHERE revoked_at IS NULL')).toEqual([]);
    const next = await ask<{ next_id: number }>(
      to,
      "SELECT auto_increment AS next_id FROM information_schema.tables WHERE table_schema = DATABASE() AND auto_increment IS NOT NULL AND table_name NOT LIKE 'knex%'",
    );
    expect(next.length).toBeGreaterThanOrEqual(8);
    expect(next.filter(({ next_id: id }) => id <= 1_000_000)).toEqual([]);
    const db = createDatabase({ ...to, poolSize: 2 });
    expect((await createMigrator(db, migrationsDir).status()).pending).toEqual([]);
    await db.destroy();
  }, 60_000);
});

describe('a restore is refused', () => {
  const refusal = async (backup: string, to: DatabaseAccess, ...args: string[]): Promise<string> => {
    const before = await countTables(to);
    const { code, stderr } = await runScript('restore.sh', [...args, backup], to);
    expect([code, await countTables(to)]).toEqual([1, before]);
    return stderr;
  };

  it('into a database that is not empty, unless that is forced', async () => {
    const to = await anEmptyDatabase();
    await asRoot(target, async (connection) => {
      await connection.query('CREATE TABLE ??.precious (id INT)', [to.database]);
      await connection.query('CREATE TABLE ??.leases (id INT)', [to.database]);
    });
    expect(await refusal(file, to)).toContain('is not empty');
    expect((await runScript('restore.sh', ['--force', file], to)).code).toBe(0);
    expect(await ask(to, "SHOW TABLES LIKE 'precious'")).toEqual([]);
    expect((await ask<{ n: number }>(to, 'SELECT COUNT(*) AS n FROM leases'))[0]?.n).toBeGreaterThanOrEqual(acknowledged.length);
  }, 60_000);

  it('while somebody is connected to the database, forced or not', async () => {
    const to = await anEmptyDatabase();
    const replica = await mysql.createConnection(to);
    expect(await refusal(file, to, '--force')).toContain('stop every API');
    await replica.end();
  }, 30_000);

  it('of a file that is torn, edited, foreign or missing, and the database stays as it is', async () => {
    const to = await anEmptyDatabase();
    const made = (name: string, content: Buffer | string): string => {
      const path = join(lab.dir, name);
      writeFileSync(path, content);
      return path;
    };
    const text = gunzipSync(readFileSync(file)).toString();
    const torn = made('torn.gz', readFileSync(file));
    truncateSync(torn, Math.floor(statSync(file).size / 2));
    expect(await refusal(torn, to)).toContain('torn');
    expect(await refusal(made('cut.gz', gzipSync(text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1))), to)).toContain('torn');
    expect(await refusal(made('edited.gz', gzipSync(text.replace("'admin'", "'user'"))), to)).toContain('was changed');
    expect(await refusal(made('foreign', 'DROP DATABASE orion;\n'), to)).toContain('torn or no backup');
    expect(await refusal(join(lab.dir, 'nowhere'), to)).toContain('cannot read');
    expect(existsSync(join(lab.dir, 'nowhere'))).toBe(false);
  }, 60_000);

  it("and so is a backup of what is no database of Orion's", async () => {
    const { code, stderr } = await runScript('backup.sh', [join(lab.dir, 'nothing.gz')], await anEmptyDatabase());
    expect([code, stderr]).toEqual([1, expect.stringContaining('no schema')]);
    expect(existsSync(join(lab.dir, 'nothing.gz'))).toBe(false);
  });
});
