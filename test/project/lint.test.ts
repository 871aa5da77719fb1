import { describe, expect, it } from '@jest/globals';
import { ESLint } from 'eslint';
import { join } from 'node:path';
import { packageRoot } from '../../src/lib/package-root';

const root = packageRoot();

/** What the linter says of this text in that file. */
async function complaints(file: string, text: string): Promise<string[]> {
  const eslint = new ESLint({ cwd: root, overrideConfigFile: join(root, 'eslint.config.mjs') });
  const [result] = await eslint.lintText(text, { filePath: join(root, file) });
  return (result?.messages ?? []).filter(({ ruleId }) => ruleId === 'no-restricted-syntax').map(({ message }) => message);
}

describe('the linter', () => {
  it.each(["'SELECT id FROM nodes WHERE id = ? FOR UPDATE'", '`SELECT id FROM nodes\n  LIMIT 1 for update skip locked`'])(
    'finds a row lock in a flow: %s',
    async (sql) => {
      const text = `export const sql = ${sql};\n`;
      expect(await complaints('src/flows/support/context.ts', text)).toEqual([expect.stringContaining('Row locks live in')]);
      expect(await complaints('src/modules/nodes/queries/row.ts', text)).toEqual([]);
    },
    60_000,
  );

  it('finds statements of a transaction that are sent at once and are no batch', async () => {
    const text = (body: string): string => `export const run = async (tx, all, db) => ${body};\n`;
    const refused = [
      'Promise.all([a(tx), b(tx)])',
      'Promise.all(all.map((each) => a(tx, each)))',
      'Promise.allSettled([all ? a(tx) : null])',
    ];
    for (const body of refused) {
      expect(await complaints('src/flows/support/context.ts', text(body))).toContainEqual(expect.stringContaining('send them in a batch'));
    }
    const allowed = ['tx.batch((batch) => Promise.all([a(batch), b(batch)]))', 'Promise.all([transaction(db, (tx) => a(tx)), b(db)])'];
    for (const body of allowed) {
      expect(await complaints('src/flows/support/context.ts', text(body))).toEqual([]);
    }
  }, 60_000);
});
