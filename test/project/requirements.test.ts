import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../src/lib/package-root';

const root = packageRoot();
const table = readFileSync(join(root, 'docs/requirements.md'), 'utf8').matchAll(/^\| (R\d+) \| .* \| ([^|]+) \|$/gm);
const stateOf = new Map([...table].map(([, number = '', state = '']) => [number, state.trim()]));

/** The files that are under version control, or would be. */
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'], { cwd: root, encoding: 'utf8' }).trim().split('\n');
const quotedIn = (wanted: (file: string) => boolean): Set<string> =>
  new Set(files.filter(wanted).flatMap((file) => readFileSync(join(root, file), 'utf8').match(/\bR\d{1,2}(?=[:,) ]|\b)/g) ?? []));

describe('the requirements', () => {
  it('have each number that code and tests quote', () => {
    expect([...quotedIn(() => true)].filter((number) => !stateOf.has(number))).toEqual([]);
  });

  it('that are built are each quoted by a test', () => {
    const quoted = quotedIn((file) => file.endsWith('.test.ts'));
    const built = [...stateOf].filter(([, state]) => state === 'yes' || state === 'in part').map(([number]) => number);
    expect(built.filter((number) => !quoted.has(number))).toEqual([]);
  });
});
