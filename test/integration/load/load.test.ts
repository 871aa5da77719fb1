import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LoadReport } from '../../../bench/load/run-load';
import { projectDir, run } from '../../lab';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'orion-load-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const load = (...args: string[]): ReturnType<typeof run> =>
  run(join(projectDir, 'scripts', 'load.sh'), args, { timeoutMs: 150_000, env: { PATH: process.env['PATH'], TMPDIR: dir } });

/** Of processes whose command line names the folder: everything that a run starts has its files there. */
const namesDir = async (): Promise<string> => (await run('pgrep', ['-f', dir])).stdout;

describe('scripts/load.sh', () => {
  it('enrols simulated nodes, which call home, are logged in to, and are rented; and leaves nothing running', async () => {
    const file = join(dir, 'report.json');
    const { code, stdout, stderr } = await load('--nodes', '50', '--seconds', '5', '--rents', '2', '--register', '--json', file);
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^nodes +50$/m);
    const [report] = (JSON.parse(readFileSync(file, 'utf8')) as { reports: LoadReport[] }).reports;
    expect(report).toMatchObject({
      nodes: 50,
      statuses: { alive: 50 },
      heartbeats: { failures: 0, overdueNodes: 0 },
      rents: { failed: 0 },
    });
    expect(report?.heartbeats.perSecond).toBeGreaterThan(1);
    expect(report?.rents.perSecond).toBeGreaterThan(1);
    expect(report?.roles['api']?.residentMb).toBeGreaterThan(20);
    expect(await namesDir()).toBe('');
  }, 180_000);

  it('is bounded: more nodes or seconds than it may are refused', async () => {
    expect((await load('--nodes', '200000')).code).not.toBe(0);
    expect((await load('--seconds', '3600')).code).not.toBe(0);
  }, 30_000);
});
