/** `scripts/load.sh --help`: a control plane of its own under the load of simulated nodes, on loopback. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { projectDir } from '../../test/lab';
import { type LoadReport, runLoad } from './run-load';
import { toTable } from './table';

const MAX_NODES = 100_000;
const MAX_SECONDS = 600;
const MAX_PROCESSES = 8;
const MAX_RENTS = 1_000;

const upTo =
  (most: number, least = 0) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`give a number from ${least} to ${most}`);
    }
    return value;
  };

interface Options {
  nodes: number[];
  seconds: number;
  apis: number;
  schedulers: number;
  rents: number;
  register: boolean;
  json?: string;
}

async function main({ nodes, rents, json, ...options }: Options): Promise<number> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  if (!existsSync(join(projectDir, 'dist', 'main.js'))) {
    say('there is no dist/main.js: run `npm run build` first');
    return 2;
  }
  const reports: LoadReport[] = [];
  for (const count of nodes) {
    reports.push(await runLoad({ ...options, nodes: count, rentsPerSecond: rents, say }));
  }
  process.stdout.write(toTable(reports));
  if (json !== undefined) {
    writeFileSync(json, `${JSON.stringify({ ...options, rents, reports }, null, 2)}\n`);
  }
  return 0;
}

const program = new Command('load.sh')
  .description(
    'Puts a control plane of its own under the load of simulated nodes and prints what it did; docs/load.md says what is simulated. Everything is on loopback and ended at the end.',
  )
  .option(
    '--nodes <counts>',
    `how many, one run after the other; at most ${MAX_NODES}`,
    (text) => text.split(',').map(upTo(MAX_NODES, 1)),
    [1_000, 10_000],
  )
  .option('--seconds <n>', `how long each run is measured; at most ${MAX_SECONDS}`, upTo(MAX_SECONDS, 2), 30)
  .option('--apis <n>', 'API replicas', upTo(MAX_PROCESSES, 1), 1)
  .option('--schedulers <n>', 'schedulers; 0: nobody probes', upTo(MAX_PROCESSES), 1)
  .option('--rents <n>', 'rents a second, each released at once; needs a scheduler to wipe', upTo(MAX_RENTS), 0)
  .option('--register', 'the agents enrol with a join token, instead of being in the database from the start', false)
  .option('--json <file>', 'writes all figures there');
program.parse();
process.exitCode = await main(program.opts<Options>());
