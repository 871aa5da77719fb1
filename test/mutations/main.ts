/**
 * `npm run prove -- --help`: makes each mutation in a copy of the product and reports whether the checker of the chaos runs notices each.
 */
import { writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { createLab } from '../lab';
import type { Mutation } from './mutation';
import { MUTATIONS } from './list';
import { passed, prove, type Row } from './prove';

interface Options {
  only?: Mutation[];
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

const byName = (name: string): Mutation => {
  const found = MUTATIONS.find((mutation) => mutation.name === name);
  if (!found) {
    throw new InvalidArgumentError(`there is no mutation ${name}; there are ${MUTATIONS.map((each) => each.name).join(', ')}`);
  }
  return found;
};

/** The scenarios that the mutations use; whole ones when all mutations are made, because then most of their parts are used. */
const controlsOf = (mutations: Mutation[]): string[] => [
  ...new Set(mutations.flatMap(({ scenario }) => (scenario === undefined ? [] : partOf(scenario, mutations.length === MUTATIONS.length)))),
];

const partOf = (scenario: string, whole: boolean): string => (whole ? (scenario.split('/')[0] ?? scenario) : scenario);

function print(rows: Row[]): void {
  const width = (of: (row: Row) => string): number => Math.max(...rows.map((row) => of(row).length));
  const [names, scenarios, results] = [width(({ name }) => name), width(({ scenario }) => scenario), width(({ result }) => result)];
  const lines = rows.map((row) =>
    [
      passed(row) ? 'ok  ' : 'FAIL',
      row.name.padEnd(names),
      row.breaks.padEnd(5),
      row.scenario.padEnd(scenarios),
      row.result.padEnd(results),
      `${row.seconds.toFixed(0).padStart(4)} s`,
      row.evidence.split('\n')[0],
    ].join('  '),
  );
  const failed = rows.filter((row) => !passed(row)).length;
  process.stdout.write(`${lines.join('\n')}\n${rows.length - failed} passed, ${failed} failed\n`);
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function main({ only = MUTATIONS, jobs, seed, deadline, json }: Options): Promise<number> {
  const lab = createLab();
  try {
    const rows = await prove(lab, { mutations: only, controls: controlsOf(only), jobs, seed, deadlineSeconds: deadline, say });
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
  .description(
    `Makes each of ${MUTATIONS.length} mutations in a copy of the product, and runs the unchanged chaos scenario and checker, or a test, against each. Must run as root. Exit code 1 when one survives.`,
  )
  .option('--only <names>', `of ${MUTATIONS.map(({ name }) => name).join(', ')}`, (names: string) => names.split(',').map(byName))
  .option('--jobs <n>', 'mutations at once', positive, 1)
  .option('--seed <text>', 'of the chaos runs', '1')
  .option('--deadline <seconds>', 'for each chaos run', positive, 600)
  .option('--json <file>', 'writes the table there');
program.parse();
process.exitCode = await main(program.opts<Options>());
