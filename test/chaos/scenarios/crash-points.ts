import type { Step } from '../../../src/flows/support/failpoints';
import { systemClock } from '../../../src/lib/clock';
import { messageOf } from '../../../src/lib/errors';
import type { Violation } from '../../checker/evidence';
import { untilHeld } from '../../lab';
import { type Act, ACTS, type Prepared } from '../crash-points/acts';
import { CLAIM_SECONDS, controlsOf, LOOP_SECONDS, setStage, type Stage } from '../crash-points/stage';
import { type Blow, BLOWS, strike } from '../crash-points/strike';
import { broken, type Outcome, type Scenario, type ScenarioRun } from '../scenario';

interface Trial {
  act: Act;
  step: Step;
  blow: Blow;
}

const TRIALS: Trial[] = ACTS.flatMap((act) => act.steps.flatMap((step) => BLOWS.map((blow) => ({ act, step, blow }))));

/** What a busy machine may add to a bound; the figures say how little of it is used. */
const SLACK_SECONDS = 6;
const LOOK_EVERY = 8;

async function tryTrials(run: ScenarioRun, real: boolean): Promise<Outcome> {
  const stage = await setStage(real);
  const violations: Violation[] = [];
  const took: number[] = [];
  try {
    const usual = await timeUndisturbed(stage);
    let order: Trial[] = [];
    while (took.length < run.operations && !run.timeIsUp() && violations.length === 0) {
      order = order.length > 0 ? order : run.random.shuffle(TRIALS);
      const trial = order.pop() as Trial;
      const bound = (usual.get(trial.act) ?? 0) + CLAIM_SECONDS + LOOP_SECONDS + SLACK_SECONDS + (trial.act.pauseSeconds ?? 0);
      const { seconds, found } = await tryOne(stage, trial, { bound, lookAtNodes: took.length % LOOK_EVERY === LOOK_EVERY - 1 });
      took.push(seconds);
      violations.push(...found);
      run.say(`${nameOf(trial)}: ${seconds.toFixed(1)} s${found.length > 0 ? `, ${found.length} VIOLATIONS` : ''}`);
    }
    violations.push(...(await stage.judge.violations()));
    const inOrder = took.filter((seconds) => !Number.isNaN(seconds)).sort((x, y) => x - y);
    const figures = {
      'kinds of trial': Math.min(TRIALS.length, took.length),
      'converged within s (median)': inOrder[Math.floor(inOrder.length / 2)] ?? NaN,
      'converged within s (worst)': inOrder.at(-1) ?? NaN,
    };
    return { operations: took.length, faults: took.length, figures, violations };
  } finally {
    await stage.close();
  }
}

const nameOf = ({ act, blow, step }: Trial): string => `${act.name}, ${blow} at ${step}`;

/** One trial, what came of it, and everything put back. */
async function tryOne(
  stage: Stage,
  trial: Trial,
  { bound, lookAtNodes }: { bound: number; lookAtNodes: boolean },
): Promise<{ seconds: number; found: Violation[] }> {
  const name = nameOf(trial);
  try {
    const seconds = await carryOut(stage, trial);
    await stage.clear();
    const found = lookAtNodes ? await stage.judge.violations() : await stage.system.violations({ history: stage.history.operations });
    const late =
      seconds > bound ? [broken('converges', name, `took ${seconds.toFixed(1)} s; at most ${bound.toFixed(1)} s are right`)] : [];
    return { seconds, found: [...late, ...found.map((violation) => ({ ...violation, what: `${violation.what} (after ${name})` }))] };
  } catch (error) {
    return { seconds: NaN, found: [broken('converges', name, messageOf(error))] };
  }
}

/** How long each act takes when nothing happens to it. */
async function timeUndisturbed(stage: Stage): Promise<Map<Act, number>> {
  const usual = new Map<Act, number>();
  for (const act of ACTS) {
    const prepared = await act.prepare(stage);
    const begun = systemClock.monotonicMs();
    await prepared.ready?.();
    await prepared.begin();
    await prepared.finish();
    usual.set(act, (systemClock.monotonicMs() - begun) / 1000);
    await stage.clear();
  }
  return usual;
}

/** Returns how many seconds after the blow everything was right again. */
async function carryOut(stage: Stage, { act, step, blow }: Trial): Promise<number> {
  const prepared: Prepared = await act.prepare(stage);
  const targets = act.role === 'api' ? [stage.struckApi()] : stage.schedulers();
  await prepared.ready?.();
  const held = untilHeld(controlsOf(targets), step);
  const begun = prepared.begin().catch(() => undefined);
  const { index, goOn } = await held;
  const struck = targets[index];
  if (!struck) {
    throw new Error('nobody is held');
  }
  let over = systemClock.monotonicMs();
  const striking = strike(struck, { blow, step }, goOn).then(async () => {
    over = systemClock.monotonicMs();
    if (blow === 'kill' && act.name === 'register') {
      // The machine's agent knows no other API.
      await stage.mend();
    }
  });
  await Promise.all([prepared.finish(), striking]);
  const seconds = (systemClock.monotonicMs() - over) / 1000;
  await begun;
  return Math.max(0, seconds);
}

export const crashPoints: Scenario = {
  name: 'crash-points',
  promise: 'a process killed, stopped or cut off at any step of any flow: the right end comes, within the claim and a loop',
  unit: 'trials',
  operations: { short: 24, long: 400 },
  run: (run) => tryTrials(run, false),
};

export const crashPointsForReal: Scenario = {
  name: 'crash-points-real',
  promise: 'the same with real Ansible, real accounts and logins',
  unit: 'trials',
  operations: { short: 8, long: 120 },
  run: (run) => tryTrials(run, true),
};
