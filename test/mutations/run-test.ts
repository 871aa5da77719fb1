import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Violation } from '../checker/evidence';
import { type Lab, projectDir, run } from '../lab';

/** The part of Jest's report that is read. */
interface Report {
  testResults: { assertionResults: { status: string; fullName: string; failureMessages: string[] }[] }[];
}

/**
 * Runs a test file of this project against the program in that folder. Returns its failures as violations of the requirement. Rejects when
 * no test ran to its end.
 */
export async function runTestOn(lab: Lab, { program, test, breaks, deadlineSeconds }: TestRun): Promise<Violation[]> {
  const report = join(program, 'test.json');
  const jest = join('node_modules', 'jest', 'bin', 'jest.js');
  const { stderr } = await run(process.execPath, [jest, '--runInBand', '--json', '--outputFile', report, test], {
    cwd: projectDir,
    env: { ...process.env, TMPDIR: lab.dir, NODE_OPTIONS: '--experimental-vm-modules', ORION_LAB_PROGRAM_DIR: program },
    timeoutMs: deadlineSeconds * 1000,
  });
  const { testResults } = existsSync(report) ? (JSON.parse(readFileSync(report, 'utf8')) as Report) : { testResults: [] };
  const results = testResults.flatMap(({ assertionResults }) => assertionResults);
  if (results.length === 0) {
    throw new Error(`${test} did not run: ${stderr.slice(-1500)}`);
  }
  const failed = results.filter(({ status }) => status === 'failed');
  return failed.map(({ fullName, failureMessages }) => ({
    invariant: breaks,
    where: test,
    what: `${fullName}: ${failureMessages.join('\n')}`,
  }));
}

interface TestRun {
  /** A changed copy of the project. */
  program: string;
  /** From the project's root. */
  test: string;
  breaks: string;
  deadlineSeconds: number;
}
