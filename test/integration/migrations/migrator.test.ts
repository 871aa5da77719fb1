import type { Knex } from 'knex';
import { afterAll, describe, expect, it } from '@jest/globals';
import { createMigrator } from '../../../src/db/migrate';
import { selectRows } from '../../../src/db/sql';
import { transaction } from '../../../src/db/transaction';
import { createLab, eventually } from '../../lab';
import { age, count, migrationsDir, row } from '../../support/database';
import { folderOf, folderWith, listMigrations, openSite } from './support';

const lab = createLab();
afterAll(() => lab.close());

const RECORDS = ['knex_migrations', 'schema_lock', 'schema_migrations'];
const tables = async (db: Knex): Promise<string[]> =>
  (
    await selectRows<{ name: string }>(
      db,
      'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY name',
    )
  ).map(({ name }) => name);

describe('migrations', () => {
  it('R33: go up, say where they are, come down, and go up again', async () => {
    const { db, migrator } = await openSite(lab);
    const names = await listMigrations();
    expect(await migrator.status()).toEqual({ applied: [], pending: names, newer: [] });
    expect(await tables(db)).toEqual([]);
    expect(await migrator.up()).toEqual(names);
    expect(await migrator.up()).toEqual([]);
    expect(await migrator.status()).toEqual({ applied: names, pending: [], newer: [] });
    expect(await migrator.down()).toEqual(names.toReversed());
    expect(await tables(db)).toEqual(RECORDS);
    expect(await migrator.down()).toEqual([]);
    expect(await migrator.up()).toEqual(names);
  }, 30_000);

  it('R33: are applied once when five replicas start at the same time', async () => {
    const { db, other } = await openSite(lab);
    const applied = await Promise.all([db, other, db, other, db].map((each) => createMigrator(each, migrationsDir).up()));
    expect(applied.filter((names) => names.length > 0)).toHaveLength(1);
  }, 30_000);

  it('R33: may take longer than the server lets a transaction be idle, and hold their lock until they are done', async () => {
    const { db, other } = await openSite(lab);
    const folder = await folderWith(lab, 'DO SLEEP(17)');
    const names = await Promise.all([db, other].map((each) => createMigrator(each, folder).up()));
    expect(names.toSorted((a, b) => a.length - b.length)).toEqual([[], ['0001_only.mjs']]);
  }, 60_000);
});

describe('the lock of migrations', () => {
  it('R33: of a killed migrator is taken over when its time is over, and not before', async () => {
    const { db, migrator } = await openSite(lab);
    const all = await listMigrations();
    await createMigrator(db, await folderOf(lab, all.slice(0, -1))).up();
    await age(db, "UPDATE schema_lock SET owner = 'killed', expires_at = UTC_TIMESTAMP(3) + INTERVAL 1 HOUR");
    const waiting = migrator.up();
    const early = await Promise.race([waiting, eventually(() => count(db, 'SELECT SLEEP(1) + 1'), { what: 'a second is over' })]);
    expect(early).toBe(1);
    await age(db, 'UPDATE schema_lock SET expires_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND');
    expect(await waiting).toEqual(all.slice(-1));
    expect(await row(db, 'SELECT owner FROM schema_lock')).toEqual({ owner: null });
  }, 30_000);

  it('R33: that another process has taken over ends the first one before its next statement, and stays with the other', async () => {
    const { db } = await openSite(lab);
    const stolen = await folderWith(lab, "UPDATE schema_lock SET owner = 'another'", 'CREATE TABLE one_too_many (id INT)');
    await expect(createMigrator(db, stolen).up()).rejects.toThrow('Another process has taken over the migration of this database');
    expect(await row(db, 'SELECT owner FROM schema_lock')).toEqual({ owner: 'another' });
    expect(await tables(db)).toEqual(RECORDS);
    expect(await count(db, 'SELECT COUNT(*) FROM knex_migrations')).toBe(0);
  }, 30_000);
});

describe('a migration on a live system', () => {
  it('R33: waits for a table in use without keeping others from it for long, and is applied when the table is free', async () => {
    const { db, other, migrator } = await openSite(lab);
    const waits: string[] = [];
    await migrator.up();
    const patient = createMigrator(db, await folderWith(lab, 'ALTER TABLE users ADD COLUMN IF NOT EXISTS colour INT NULL'), (line) =>
      waits.push(line),
    );
    let slowest = 0;
    const reading = async (until: () => boolean): Promise<void> => {
      while (!until()) {
        const begun = performance.now();
        await selectRows(other, 'SELECT id FROM users LIMIT 1');
        slowest = Math.max(slowest, performance.now() - begun);
      }
    };
    let applied: Promise<string[]> | undefined;
    let isOver = false;
    const readers = reading(() => isOver);
    await transaction(other, async (tx) => {
      await selectRows(tx, 'SELECT id FROM users LIMIT 1 LOCK IN SHARE MODE');
      applied = patient.up();
      const hasWaitedTwice = async (): Promise<boolean> => {
        // The transaction that holds the table is not idle meanwhile.
        await selectRows(tx, 'SELECT id FROM users LIMIT 1');
        return waits.length >= 2;
      };
      await eventually(hasWaitedTwice, { what: 'it has waited twice', timeoutMs: 20_000, everyMs: 100 });
    });
    expect(await applied).toEqual(['0001_only.mjs']);
    isOver = true;
    await readers;
    expect(waits[0]).toContain('0001_only.mjs waits: its tables are in use (try 1): ALTER TABLE users');
    // One second is the wait of a try; the rest is a busy machine.
    expect(slowest).toBeLessThan(3_000);
  }, 60_000);
});

describe('a schema that is newer than the program', () => {
  it('R33: is one that the program works on: it lacks nothing, and says what it does not know', async () => {
    const { db, migrator } = await openSite(lab);
    const all = await listMigrations();
    const older = createMigrator(db, await folderOf(lab, all.slice(0, -1)));
    await older.up();
    await migrator.up();
    expect(await older.status()).toEqual({ applied: all.slice(0, -1), pending: [], newer: all.slice(-1) });
    expect(await older.up()).toEqual([]);
    await expect(older.down()).rejects.toThrow(`A newer version of orion applied ${all.at(-1) ?? ''}. Only that version can take it back`);
    expect(await migrator.down()).toEqual(all.slice(-1));
    expect(await older.status()).toEqual({ applied: all.slice(0, -1), pending: [], newer: [] });
  }, 30_000);

  it('R33: looks unchanged to the first program, which asked Knex and refused a list with a name that it did not know', async () => {
    const { db, migrator } = await openSite(lab);
    const first = (await listMigrations()).filter((name) => name <= '0010_evacuating.mjs');
    const options: Knex.MigratorConfig = {
      migrationSource: {
        getMigrations: () => Promise.resolve(first),
        getMigrationName: (name: string) => name,
        getMigration: () => Promise.reject(new Error('nothing is to be run')),
      },
    };
    await migrator.up();
    const [applied, pending] = (await db.migrate.list(options)) as [{ name: string }[], string[]];
    expect([applied.map(({ name }) => name), pending]).toEqual([first, []]);
    expect(await db.migrate.latest(options)).toEqual([expect.anything(), []]);
  }, 30_000);
});
