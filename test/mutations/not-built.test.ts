import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { projectDir, run } from '../lab';

const empty = mkdtempSync(join(tmpdir(), 'orion-not-built-'));
afterAll(() => rmSync(empty, { recursive: true }));

describe('without a build', () => {
  it.each(['test/chaos/main.ts', 'bench/main.ts'])(
    '%s says what to do, and ends with 2',
    async (program) => {
      const { code, stdout, stderr } = await run(process.execPath, ['--import', 'tsx', program], {
        cwd: projectDir,
        env: { PATH: process.env['PATH'], ORION_LAB_PROGRAM_DIR: empty },
        timeoutMs: 60_000,
      });
      expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: 'there is no dist/main.js: run `npm run build` first\n' });
    },
    60_000,
  );
});
