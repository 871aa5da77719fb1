import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, projectDir, run, type RunResult } from '../lab';
import { startGuard, startTimeOf } from '../lab/guard';

const script = join(projectDir, 'scripts', 'demo.sh');
const keepers: ChildProcess[] = [];
let dir: string;

const demo = (...args: string[]): Promise<RunResult> => run(script, args, { cwd: '/', env: { ...process.env, TMPDIR: dir } });

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'demo test-'));
});

afterAll(async () => {
  keepers.forEach((keeper) => keeper.kill('SIGKILL'));
  await eventually(() => readdirSync(dir).length === 0, { what: 'the guards have cleared everything away' });
  rmSync(dir, { recursive: true, force: true });
});

describe('scripts/demo.sh', () => {
  it('explains itself without installing or starting anything', async () => {
    const { code, stdout } = await demo('--help');
    expect(code).toBe(0);
    expect(stdout).toContain('--keep');
    expect(stdout).toContain('--stop');
  });

  it.each(['--fast', '--keep more', '--stop a b'])('refuses what it does not know: %s', async (line) => {
    const { code, stderr } = await demo(...line.split(' '));
    expect(code).toBe(2);
    expect(stderr).toContain('--help');
  });

  it('has nothing to stop when nothing was kept', async () => {
    expect(await demo('--stop')).toMatchObject({ code: 0, stdout: 'no demo of this checkout is running\n' });
    expect(await demo('--stop', join(dir, 'nowhere'))).toMatchObject({ code: 1 });
  });

  it("stops this checkout's demos and no other's", async () => {
    const [mine, foreign] = [fakeDemo('orion-lab-mine', projectDir), fakeDemo('orion-lab-foreign', '/another/checkout')];
    expect(await demo('--stop')).toMatchObject({ code: 0, stdout: `stopped ${mine.dir}\n` });
    await eventually(() => !mine.runs(), { what: 'the keeper of mine is gone' });
    expect(existsSync(mine.dir)).toBe(false);
    expect(foreign.runs() && existsSync(foreign.dir)).toBe(true);
  }, 30_000);
});

/** A kept demo without its servers: its keeper, and the guard that clears away when the keeper ends. */
function fakeDemo(name: string, project: string): { dir: string; runs: () => boolean } {
  const folder = join(dir, name);
  const keeper = spawn('sleep', ['600'], { stdio: 'ignore' });
  const pid = keeper.pid ?? 0;
  keepers.push(keeper);
  mkdirSync(folder);
  startGuard(pid, join(folder, 'guard.list')).note({ kind: 'dir', path: folder });
  writeFileSync(join(folder, 'demo.state'), `${project}\n${pid} ${startTimeOf(pid) ?? '0'}\n`);
  return { dir: folder, runs: () => keeper.exitCode === null && keeper.signalCode === null };
}
