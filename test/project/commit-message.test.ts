import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { packageRoot } from '../../src/lib/package-root';

const dir = mkdtempSync(join(tmpdir(), 'orion-commit-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it.each([
  ['fix(wipe): take a process id for no news', 0, ''],
  [`feat: ${'x'.repeat(66)}`, 0, ''],
  [`feat: ${'x'.repeat(67)}`, 1, '73 characters'],
  ['tidy up', 1, 'begin with a type'],
  ['docs: say more.', 1, 'full stop'],
  ["Merge branch 'x'", 0, ''],
])('the message %j ends with %i', (subject, code, why) => {
  const file = join(dir, 'message');
  writeFileSync(file, `${subject}\n\nThe reason.\n`);
  const { status, stderr } = spawnSync(join(packageRoot(), 'scripts/hooks/commit-msg'), [file], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([code, expect.stringContaining(why)]);
});
