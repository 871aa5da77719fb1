import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Knex } from 'knex';
import { afterAll, describe, expect, it } from '@jest/globals';
import { selectRows } from '../../../src/db/sql';
import type { Statements } from '../../../src/db/migrations/statements';
import { createLab } from '../../lab';
import { migrationsDir } from '../../support/database';
import { listMigrations, openSite } from './support';

const lab = createLab();
afterAll(() => lab.close());

type Step = (statements: Statements) => Promise<void>;

class BrokeOff extends Error {}

/** Runs the step, or its first statements; returns how many it sent. */
async function runStep(db: Knex, step: Step, first = Infinity): Promise<number> {
  let sent = 0;
  const raw: Statements['raw'] = async (sql, bindings = []) => {
    if (sent === first) {
      throw new BrokeOff();
    }
    sent += 1;
    return db.raw(sql, bindings as never);
  };
  await step({ raw }).catch((error: unknown) => {
    if (!(error instanceof BrokeOff)) {
      throw error;
    }
  });
  return sent;
}

/**
 * Breaks the step off after each of its statements, and repeats it each time: each time it must get there. `back` leads to its beginning.
 */
async function breakOffEverywhere(db: Knex, { step, back, goal }: { step: Step; back: Step; goal: unknown[] }): Promise<void> {
  const statements = await runStep(db, step);
  for (let first = 1; first <= statements; first += 1) {
    await runStep(db, back);
    await runStep(db, step, first);
    await runStep(db, step);
    expect({ first, schema: await describeSchema(db) }).toEqual({ first, schema: goal });
  }
}

/** Columns, keys, constraints, and how many rows the migrations themselves put in. */
async function describeSchema(db: Knex): Promise<unknown[]> {
  const of = (columns: string, table: string): Promise<unknown[]> =>
    selectRows(db, `SELECT ${columns} FROM information_schema.${table} WHERE table_schema = DATABASE() ORDER BY ${columns}`);
  const tables = await selectRows<{ name: string }>(
    db,
    'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY name',
  );
  const rows = await Promise.all(tables.map(({ name }) => selectRows(db, `SELECT '${name}' AS name, COUNT(*) AS n FROM ${name}`)));
  const shape = await Promise.all([
    of(
      'table_name, column_name, column_type, column_default, is_nullable, extra, generation_expression, column_comment, collation_name',
      'columns',
    ),
    of('table_name, index_name, seq_in_index, column_name, non_unique', 'statistics'),
    of('table_name, constraint_name, column_name, referenced_table_name, referenced_column_name', 'key_column_usage'),
  ]);
  return [rows, ...shape];
}

describe('a migration that broke off anywhere', () => {
  it('R33: is repeated, up and down, and ends where it would have ended at once', async () => {
    const { db } = await openSite(lab);
    for (const name of await listMigrations()) {
      const { up, down } = (await import(pathToFileURL(join(migrationsDir, name)).href)) as { up: Step; down: Step };
      const before = await describeSchema(db);
      await runStep(db, up);
      const after = await describeSchema(db);
      expect({ name, changes: JSON.stringify(after) !== JSON.stringify(before) }).toEqual({ name, changes: true });
      await runStep(db, down);
      await breakOffEverywhere(db, { step: up, back: down, goal: after });
      await breakOffEverywhere(db, { step: down, back: up, goal: before });
      await runStep(db, up);
    }
  }, 120_000);
});
