import { systemClock } from '../../src/lib/clock';
import { messageOf } from '../../src/lib/errors';
import { createRandom } from './random';
import { broken, type Outcome, type Scenario } from './scenario';

export interface ChaosOptions {
  seed: string;
  scenarios: Scenario[];
  /** The small counts of CI instead of the large ones. */
  short: boolean;
  /** For all scenarios together; each gets an equal part of what is left. Undefined: each runs until its count is reached. */
  minutes: number | undefined;
  /** Instead of each scenario's own count. */
  operations: number | undefined;
  say: (line: string) => void;
}

export interface ScenarioReport extends Outcome {
  name: string;
  promise: string;
  unit: string;
  seconds: number;
}

export interface ChaosReport {
  seed: string;
  seconds: number;
  scenarios: ScenarioReport[];
}

/**
 * Runs the scenarios one after the other. Never rejects for what they find: that is in the report, and so is a scenario that could not be
 * carried out.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, minutes, say } = options;
  const startedAt = systemClock.monotonicMs();
  const elapsed = (): number => (systemClock.monotonicMs() - startedAt) / 1000;
  const scenarios: ScenarioReport[] = [];
  for (const [done, scenario] of options.scenarios.entries()) {
    const secondsLeft = minutes === undefined ? Infinity : (minutes * 60 - elapsed()) / (options.scenarios.length - done);
    say(`${scenario.name}: ${scenario.promise}`);
    const report = await runScenario(scenario, options, secondsLeft);
    say(
      `${scenario.name}: ${report.operations} ${report.unit}, ${report.faults} faults, ${report.violations.length} violations in ${report.seconds.toFixed(0)} s`,
    );
    report.violations
      .slice(0, 20)
      .forEach(({ invariant, where, what }) => say(`  VIOLATION ${invariant} ${where}: ${what} (seed ${seed})`));
    scenarios.push(report);
  }
  return { seed, seconds: elapsed(), scenarios };
}

async function runScenario(scenario: Scenario, options: ChaosOptions, secondsLeft: number): Promise<ScenarioReport> {
  const { name, promise, unit } = scenario;
  const startedAt = systemClock.monotonicMs();
  const seconds = (): number => (systemClock.monotonicMs() - startedAt) / 1000;
  const outcome = await scenario
    .run({
      random: createRandom(`${options.seed}/${name}`),
      seed: options.seed,
      operations: options.operations ?? (options.short ? scenario.operations.short : scenario.operations.long),
      timeIsUp: () => seconds() >= secondsLeft,
      say: (line) => options.say(`  ${seconds().toFixed(0)} s  ${line}`),
    })
    .catch((error: unknown): Outcome => {
      const stack = error instanceof Error && error.stack ? error.stack : messageOf(error);
      return { operations: 0, faults: 0, violations: [broken('chaos', name, `could not be carried out: ${stack}`)] };
    });
  return { name, promise, unit, seconds: seconds(), ...outcome };
}
