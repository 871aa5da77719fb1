import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { sweepStalePlays } from './play-directory';

it('removes the folders of processes that are gone, and keeps those of processes that run', async () => {
  const { pid: gone } = spawnSync('true');
  const stale = mkdtempSync(join(tmpdir(), `orion-play-${gone}-`));
  const inUse = mkdtempSync(join(tmpdir(), `orion-play-${process.pid}-`));
  const other = join(tmpdir(), `orion-play-${gone}`);
  mkdirSync(other, { recursive: true });

  await sweepStalePlays();

  expect([stale, inUse, other].map(existsSync)).toEqual([false, true, true]);
  rmSync(inUse, { recursive: true });
  rmSync(other, { recursive: true });
});
