import { fork } from 'node:child_process';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Violation } from '../checker/evidence';
import { type Lab, projectDir } from '../lab';
import type { ChaosReport } from '../chaos/run-chaos';
import { killGroup } from '../lab/run';

export interface ScenarioOfProgram {
  /** A changed copy of the project. */
  program: string;
  scenario: string;
  seed: string;
  deadlineSeconds: number;
}

/**
 * Runs an unchanged chaos scenario and its checker on the program in that folder, and returns what they found. Rejects when they did not
 * come to their end.
 */
export async function runScenarioOn(lab: Lab, { program, scenario, seed, deadlineSeconds }: ScenarioOfProgram): Promise<Violation[]> {
  const report = join(program, 'report.json');
  const log = openSync(join(program, 'chaos.log'), 'a');
  // Forked, with a channel: then the chaos runs of one proof share one MariaDB, which ends with this process (see lab/shared-mariadb.ts).
  const child = fork(join(projectDir, 'test', 'chaos', 'main.ts'), ['--only', scenario, '--short', '--seed', seed, '--json', report], {
    cwd: projectDir,
    env: { ...process.env, ORION_LAB_PROGRAM_DIR: program },
    execArgv: ['--import', 'tsx'],
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  if (child.pid !== undefined) {
    lab.note({ kind: 'process', pid: child.pid });
  }
  const timer = setTimeout(() => killGroup(child.pid), deadlineSeconds * 1000);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  clearTimeout(timer);
  if (!existsSync(report)) {
    const said = readFileSync(join(program, 'chaos.log'), 'utf8').slice(-1500);
    throw new Error(code === null ? `not within ${deadlineSeconds} s: ${said}` : `it ended with ${code}: ${said}`);
  }
  return (JSON.parse(readFileSync(report, 'utf8')) as ChaosReport).scenarios.flatMap(({ violations }) => violations);
}
