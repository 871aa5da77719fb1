/** `npm run bench -- --help`: measures Orion against the least that each thing could take, on servers of its own, on loopback. */
import { writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { systemClock } from '../src/lib/clock';
import { messageOf } from '../src/lib/errors';
import { isBuilt, projectDir, run } from '../test/lab';
import type { Benchmark } from './benchmark';
import { BENCHMARKS } from './index';
import { describeMachine, loadNow } from './machine';
import { type Measured, type Report, toMarkdown, toText } from './report';

interface Options {
  only?: Benchmark[];
  short: boolean;
  json?: string;
  markdown: boolean;
}

const names = BENCHMARKS.map(({ name }) => name).join(', ');

function byName(text: string): Benchmark[] {
  return text.split(',').map((name) => {
    const found = BENCHMARKS.find((benchmark) => benchmark.name === name);
    if (!found) {
      throw new InvalidArgumentError(`there is no row ${name}; there are ${names}`);
    }
    return found;
  });
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function measure(benchmark: Benchmark, short: boolean): Promise<Measured> {
  const { name, method } = benchmark;
  const startedAt = systemClock.monotonicMs();
  const seconds = (): number => (systemClock.monotonicMs() - startedAt) / 1000;
  say(`${name}: load ${loadNow().toFixed(1)}`);
  try {
    const rows = await benchmark.run({ short, say: (line) => say(`  ${seconds().toFixed(0)} s  ${line}`) });
    return { name, method, seconds: seconds(), rows };
  } catch (error) {
    const failure = error instanceof Error && error.stack ? error.stack : messageOf(error);
    say(`  ${failure}`);
    return { name, method, seconds: seconds(), rows: [], failure: messageOf(error) };
  }
}

async function main({ only = BENCHMARKS, short, json, markdown }: Options): Promise<number> {
  if (!isBuilt(say)) {
    return 2;
  }
  const startedAt = systemClock.now().toISOString();
  const startedMs = systemClock.monotonicMs();
  const before = loadNow();
  const benchmarks: Measured[] = [];
  for (const benchmark of only) {
    benchmarks.push(await measure(benchmark, short));
  }
  const report: Report = {
    command: [
      markdown ? 'npm run --silent bench --' : 'npm run bench --',
      ...process.argv.slice(2),
      ...(markdown ? ['> docs/benchmarks.md'] : []),
    ].join(' '),
    startedAt,
    seconds: (systemClock.monotonicMs() - startedMs) / 1000,
    commit: (await run('git', ['rev-parse', '--short', 'HEAD'], { cwd: projectDir })).stdout.trim(),
    machine: await describeMachine(),
    load: { before, after: loadNow() },
    benchmarks,
  };
  process.stdout.write(markdown ? toMarkdown(report) : toText(report));
  if (json) {
    writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  }
  return benchmarks.some(({ failure }) => failure !== undefined) ? 1 : 0;
}

const program = new Command('bench')
  .description(
    'Measures Orion against the least that each thing could take, both in one run, on servers of its own. Must run as root, after `npm run build`. Ends by itself; exit code 1 when a row could not be measured. A missed goal is a figure and no failure.',
  )
  .option('--only <rows>', `of ${names}`, byName)
  .option('--short', 'small counts: a smoke run of about two minutes', false)
  .option('--json <file>', 'writes the whole report there')
  .option('--markdown', 'prints the page docs/benchmarks.md', false);
program.parse();
process.exitCode = await main(program.opts<Options>());
