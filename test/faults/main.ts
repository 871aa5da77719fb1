/** `npm run prove -- --help`: plants known mistakes into copies of the product, one by one, and says whether the campaigns' checker notices each. */
import { writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { createLab } from '../lab';
import type { Fault } from './fault';
import { FAULTS } from './list';
import { passed, prove, type Row } from './prove';

interface Options {
  only?: Fault[];
  jobs: number;
  seed: string;
  deadline: number;
  json?: string;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) {
    throw new InvalidArgumentError('a number above 0 is needed');
  }
  return value;
}

const byName = (name: string): Fault => {
  const found = FAULTS.find((fault) => fault.name === name);
  if (!found) {
    throw new InvalidArgumentError(`there is no fault ${name}; there are ${FAULTS.map((each) => each.name).join(', ')}`);
  }
  return found;
};

/** The scenarios that the faults use; whole ones when all faults are planted, for then most of their parts are used. */
const controlsOf = (faults: Fault[]): string[] =>
  [...new Set(faults.flatMap(({ scenario }) => (scenario === undefined ? [] : partOf(scenario, faults.length === FAULTS.length))))];

const partOf = (scenario: string, whole: boolean): string => (whole ? (scenario.split('/')[0] ?? scenario) : scenario);

function print(rows: Row[]): void {
  const width = (of: (row: Row) => string): number => Math.max(...rows.map((row) => of(row).length));
  const [names, scenarios, results] = [width(({ name }) => name), width(({ scenario }) => scenario), width(({ result }) => result)];
  const lines = rows.map((row) =>
    [passed(row) ? 'ok  ' : 'FAIL', row.name.padEnd(names), row.breaks.padEnd(5), row.scenario.padEnd(scenarios), row.result.padEnd(results), `${row.seconds.toFixed(0).padStart(4)} s`, row.evidence.split('\n')[0]].join('  '),
  );
  const failed = rows.filter((row) => !passed(row)).length;
  process.stdout.write(`${lines.join('\n')}\n${rows.length - failed} passed, ${failed} failed\n`);
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function main({ only = FAULTS, jobs, seed, deadline, json }: Options): Promise<number> {
  const lab = createLab();
  try {
    const rows = await prove(lab, { faults: only, controls: controlsOf(only), jobs, seed, deadlineSeconds: deadline, say });
    print(rows);
    if (json !== undefined) {
      writeFileSync(json, `${JSON.stringify(rows, null, 2)}\n`);
    }
    return rows.every(passed) ? 0 : 1;
  } finally {
    await lab.close();
  }
}

const program = new Command('prove')
  .description(`Plants ${FAULTS.length} known mistakes into copies of the product, one by one, and runs the unchanged campaign and checker, or a test, against each. Must run as root. Exit code 1 when one survives.`)
  .option('--only <names>', `of ${FAULTS.map(({ name }) => name).join(', ')}`, (names: string) => names.split(',').map(byName))
  .option('--jobs <n>', 'faults at once', positive, 1)
  .option('--seed <text>', 'of the campaigns', '1')
  .option('--deadline <seconds>', 'for each campaign', positive, 600)
  .option('--json <file>', 'writes the table there');
program.parse();
process.exitCode = await main(program.opts<Options>());
