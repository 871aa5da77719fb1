/**
 * `npm run chaos -- --help`: stresses Orion on servers of its own, on loopback, and says which promise broke, where, and with which seed.
 */
import { writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { isBuilt } from '../lab';
import { type ChaosReport, runChaos } from './run-chaos';
import type { Scenario } from './scenario';
import { SCENARIOS } from './scenarios';

interface Options {
  minutes?: number;
  seed: string;
  short: boolean;
  only?: string[];
  operations?: number;
  json?: string;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) {
    throw new InvalidArgumentError('a number above 0 is needed');
  }
  return value;
}

const byName = (name: string): Scenario => {
  const found = SCENARIOS.flatMap((scenario) => [scenario, ...(scenario.parts ?? [])]).find((scenario) => scenario.name === name);
  if (!found) {
    throw new InvalidArgumentError(`there is no scenario ${name}; there are ${SCENARIOS.map((each) => each.name).join(', ')}`);
  }
  return found;
};

/** How many violations of a scenario stand below its line: enough to see what kind they are. */
const SHOWN = 5;

/** One line a scenario, what it broke, and at the end the count that test runners print. */
function print({ scenarios, seed, seconds }: ChaosReport): void {
  const lines = scenarios.flatMap(({ name, operations, unit, faults, violations, seconds: took, figures = {} }) => {
    const more = Object.entries(figures).map(([what, value]) => `${what} ${Number.isInteger(value) ? value : value.toFixed(2)}`);
    const counts = [`${operations} ${unit}`, `${faults} faults`, `${violations.length} violations`, ...more, `${took.toFixed(0)} s`];
    const broken = violations.slice(0, SHOWN).map(({ invariant, where, what }) => `     ${invariant} ${where}: ${what.slice(0, 300)}`);
    return [`${violations.length === 0 ? 'ok  ' : 'FAIL'} ${name}: ${counts.join(', ')}`, ...broken];
  });
  const failed = scenarios.filter(({ violations }) => violations.length > 0).length;
  process.stdout.write(
    `${lines.join('\n')}\nseed ${seed}, ${seconds.toFixed(0)} s\n${scenarios.length - failed} passed, ${failed} failed\n`,
  );
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(options: Options): Promise<number> {
  if (!isBuilt(say)) {
    return 2;
  }
  const report = await runChaos({
    seed: options.seed,
    short: options.short,
    minutes: options.minutes,
    operations: options.operations,
    scenarios: options.only?.map(byName) ?? SCENARIOS,
    say,
  });
  print(report);
  if (options.json) {
    writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  }
  return report.scenarios.every(({ violations }) => violations.length === 0) ? 0 : 1;
}

const program = new Command('chaos')
  .description(
    'Stresses Orion on servers of its own and checks the invariants I1 to I10. Must run as root. Ends by itself; exit code 1 when something did not hold.',
  )
  .option('--minutes <n>', 'for all scenarios together; without it each runs until its count is reached', positive)
  .option('--seed <text>', 'decides all that is left to chance', String(Date.now() % 1_000_000))
  .option('--short', 'the small counts of CI', false)
  .option('--only <names>', `of ${SCENARIOS.map(({ name }) => name).join(', ')}`, (names: string) =>
    names.split(',').map((name) => byName(name).name),
  )
  .option('--operations <n>', "instead of each scenario's own count", positive)
  .option('--json <file>', 'writes the whole report there');
program.parse();
process.exitCode = await main(program.opts<Options>());
