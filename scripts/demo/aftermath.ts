import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Lab } from '../../test/lab';
import { reapScript } from '../../test/lab/paths';

/**
 * Clears everything away without giving this process another moment, so that nothing it had in hand can start something new: what the guard
 * does for a demo that was killed, from the notes of the lab.
 */
export function clearAwayAtOnce(lab: Lab): void {
  const nobody = '0';
  spawnSync('bash', [reapScript, nobody, nobody, join(lab.dir, 'guard.list')], { cwd: '/', stdio: 'ignore' });
}

const listNames = (folder: string, prefix: string): string[] =>
  existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith(prefix)) : [];

/** Copies the logs of all servers and workers to a folder that stays, and returns it. */
export function saveLogs(lab: Lab, reason: string): string {
  const target = mkdtempSync(join(tmpdir(), 'orion-demo-logs-'));
  writeFileSync(join(target, 'reason.txt'), `${reason}\n`);
  const fleets = listNames(lab.dir, 'workers-').map((name) => join(lab.dir, name, 'state'));
  const machines = fleets.flatMap((state) =>
    listNames(state, 'worker-').map((name) => ({ prefix: `${name}-`, from: join(state, name, 'logs') })),
  );
  for (const { prefix, from } of [{ prefix: '', from: lab.dir }, ...machines]) {
    for (const name of listNames(from, '').filter((file) => file.endsWith('.log'))) {
      cpSync(join(from, name), join(target, `${prefix}${name}`));
    }
  }
  return target;
}
