import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { createProgram } from '../../src/cli/program';
import { packageRoot } from '../../src/lib/package-root';
import { ROLE_NAMES } from '../../src/roles';
import { projectFiles, readProjectFile } from './files';

describe('roles', () => {
  it('are named by the help, the README and the page on the architecture', () => {
    const help = createProgram({ env: {}, stdin: process.stdin, stdout: process.stdout, stderr: process.stderr } as never)
      .helpInformation()
      .replace(/\s+/g, ' ');
    for (const [where, text] of [
      ['help', help],
      ['README', readProjectFile('README.md')],
      ['architecture', readProjectFile('docs/architecture.md')],
    ]) {
      expect([where, ROLE_NAMES.filter((role) => !text?.includes(role))]).toEqual([where, []]);
    }
  });
});

/** `src/…/name.ts`, `docs/…`, `modules/…` and so on in a comment or a page, from the root or from src. */
const PATH =
  /(?<![\w/.-])((?:src|docs|test|scripts|playbooks|migrations|bench|docker|modules|flows|http|db|ssh|agent|lib|adr)\/[\w./-]*\w\.(?:ts|mjs|py|md|sh|yml|cjs))/g;

describe('paths in comments and pages', () => {
  it('lead to a file', () => {
    const files = projectFiles.filter((file) => /\.(ts|md|mjs)$/.test(file) && file !== 'CHANGELOG.md');
    const missing = files.flatMap((file) => {
      const text = readProjectFile(file);
      const said = file.endsWith('.md') ? text : (text.match(/\/\*\*?[\s\S]*?\*\/|\/\/.*/g) ?? []).join('\n');
      return [...said.matchAll(PATH)]
        .map(([, path = '']) => path)
        .filter((path) => !['', 'src', 'docs', 'test', 'test/integration'].some((base) => existsSync(join(packageRoot(), base, path))))
        .map((path) => `${file}: ${path}`);
    });
    expect(missing).toEqual([]);
  });
});
