import { rmSync } from 'node:fs';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { systemClock } from '../../src/lib/clock';
import { messageOf } from '../../src/lib/errors';
import type { Violation } from '../checker/evidence';
import { type Lab, projectDir } from '../lab';
import type { Mutation } from './mutation';
import { applyEdits, build, copyProject } from './mutate';
import { runScenarioOn } from './run-scenario';
import { runTestOn } from './run-test';

export interface ProofOptions {
  mutations: Mutation[];
  /** Run on the unchanged program as well; they must find nothing. */
  controls: string[];
  jobs: number;
  seed: string;
  deadlineSeconds: number;
  say: (line: string) => void;
}

/** One line of the table. `by another` is no failure: what was meant was not seen, but the mutation was. */
export interface Row {
  name: string;
  breaks: string;
  scenario: string;
  result: 'caught' | 'caught by another' | 'survived' | 'clean' | 'found without a mutation' | 'failed';
  /** The violation that tells, or why the run failed. */
  evidence: string;
  seconds: number;
}

export const passed = ({ result }: Row): boolean => result === 'caught' || result === 'caught by another' || result === 'clean';

/** The project as it stood at the beginning, for all copies. */
const UNCHANGED = 'unchanged';

/** Makes each mutation in a copy of its own and lets a chaos run check it. */
export async function prove(lab: Lab, options: ProofOptions): Promise<Row[]> {
  copyProject(projectDir, join(lab.dir, UNCHANGED));
  const limit = pLimit(options.jobs);
  const timed = (row: Omit<Row, 'result' | 'evidence' | 'seconds'>, work: () => Promise<Pick<Row, 'result' | 'evidence'>>): Promise<Row> =>
    limit(async () => {
      const begun = systemClock.monotonicMs();
      const outcome = await work().catch((error: unknown) => ({ result: 'failed' as const, evidence: messageOf(error) }));
      const done = { ...row, ...outcome, seconds: (systemClock.monotonicMs() - begun) / 1000 };
      options.say(`${passed(done) ? 'ok  ' : 'FAIL'} ${done.name}: ${done.result}, ${done.evidence} (${done.seconds.toFixed(0)} s)`);
      return done;
    });
  const { seed, deadlineSeconds } = options;
  const run: Run = (program, scenario) => runScenarioOn(lab, { program, scenario, seed, deadlineSeconds });
  const judgeOf = ({ scenario, test, breaks }: Mutation): Judge =>
    test === undefined ? (program) => run(program, scenario) : (program) => runTestOn(lab, { program, test, breaks, deadlineSeconds });
  return Promise.all([
    ...options.mutations.map((mutation) => {
      const { name, breaks, scenario, test } = mutation;
      return timed({ name, breaks, scenario: scenario ?? test }, () => tryMutation(lab, mutation, judgeOf(mutation)));
    }),
    ...options.controls.map((scenario) => timed({ name: 'no mutation', breaks: '', scenario }, () => tryControl(lab, scenario, run))),
  ]);
}

type Run = (program: string, scenario: string) => Promise<Violation[]>;
type Judge = (program: string) => Promise<Violation[]>;

async function inCopy<T>(lab: Lab, name: string, work: (program: string) => Promise<T>): Promise<T> {
  const program = join(lab.dir, name);
  try {
    copyProject(join(lab.dir, UNCHANGED), program);
    return await work(program);
  } finally {
    rmSync(program, { recursive: true, force: true, maxRetries: 5 });
  }
}

const tryMutation = (lab: Lab, mutation: Mutation, violationsOf: Judge): Promise<Pick<Row, 'result' | 'evidence'>> =>
  inCopy(lab, mutation.name, async (program) => {
    applyEdits(program, mutation.edits);
    await build(program);
    return judge(mutation, await violationsOf(program));
  });

const tell = ({ invariant, where, what }: Violation): string => `${invariant} ${where}: ${what}`;
/** What a chaos run reports of its own troubles counts for nothing: a busy machine could say the same. */
const INVARIANT = /^(I\d+|R\d+|trust)$/;

function judge({ breaks, shows }: Mutation, violations: Violation[]): Pick<Row, 'result' | 'evidence'> {
  const meant = violations.find(
    ({ invariant, what }) => invariant === breaks && (typeof shows === 'string' ? what.includes(shows) : shows.test(what)),
  );
  if (meant) {
    return { result: 'caught', evidence: tell(meant) };
  }
  // The absence of a UNIQUE key is seen by itself; it does not show that the rest was.
  const other = violations.find(({ invariant, where }) => INVARIANT.test(invariant) && where !== 'schema');
  return other
    ? { result: 'caught by another', evidence: tell(other) }
    : { result: 'survived', evidence: violations.map(tell).join('; ') || 'nothing was found' };
}

async function tryControl(lab: Lab, scenario: string, run: Run): Promise<Pick<Row, 'result' | 'evidence'>> {
  const [first] = await inCopy(lab, `control-${scenario.replace('/', '-')}`, async (program) => {
    await build(program);
    return run(program, scenario);
  });
  return first ? { result: 'found without a mutation', evidence: tell(first) } : { result: 'clean', evidence: '0 violations' };
}
