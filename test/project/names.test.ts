import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { createProgram } from '../../src/cli/program';
import { packageRoot } from '../../src/lib/package-root';
import { ROLE_NAMES } from '../../src/roles';

const root = packageRoot();
const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' }).trim().split('\n');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

describe('roles', () => {
  it('are named by the help, the README and the page on the architecture', () => {
    const help = createProgram({ env: {}, stdin: process.stdin, stdout: process.stdout, stderr: process.stderr } as never).helpInformation().replace(/\s+/g, ' ');
    for (const [where, text] of [['help', help], ['README', read('README.md')], ['architecture', read('docs/architecture.md')]]) {
      expect([where, ROLE_NAMES.filter((role) => !text?.includes(role))]).toEqual([where, []]);
    }
  });
});

/** `src/…/name.ts`, `docs/…`, `modules/…` and so on in a comment or a page, from the root or from src. */
const PATH = /(?<![\w/.-])((?:src|docs|test|scripts|playbooks|migrations|bench|docker|modules|flows|http|db|ssh|agent|lib|adr)\/[\w./-]*\w\.(?:ts|mjs|py|md|sh|yml|cjs))/g;

describe('paths in comments and pages', () => {
  it('lead to a file', () => {
    const files = tracked.filter((file) => /^(src|test|bench|scripts|docs)\/.*\.(ts|md|mjs)$|^[A-Z]+\.md$/.test(file) && file !== 'CHANGELOG.md');
    const missing = files.flatMap((file) => {
      const text = read(file);
      const said = file.endsWith('.md') ? text : (text.match(/\/\*\*?[\s\S]*?\*\/|\/\/.*/g) ?? []).join('\n');
      return [...said.matchAll(PATH)].map(([, path = '']) => path).filter((path) => !['', 'src', 'docs', 'test', 'test/integration'].some((base) => existsSync(join(root, base, path)))).map((path) => `${file}: ${path}`);
    });
    expect(missing).toEqual([]);
  });
});
