import { type Figure, type Goal, isMet, type Ratio, type Row } from './benchmark';
import type { Machine } from './machine';

export interface Measured {
  name: string;
  method: string;
  seconds: number;
  rows: Row[];
  /** Why it could not be carried out. */
  failure?: string;
}

export interface Report {
  /** The command that makes it again. */
  command: string;
  /** ISO 8601, UTC. */
  startedAt: string;
  seconds: number;
  commit: string;
  machine: Machine;
  /** Of the minute before the first row, and before the end. */
  load: { before: number; after: number };
  benchmarks: Measured[];
}

const HEADINGS = ['row', 'what', 'Orion', 'against', 'its figure', 'ratio', 'middle half', 'goal', ''];

function number(value: number): string {
  return value >= 100
    ? Math.round(value).toLocaleString('en')
    : value >= 10
      ? value.toFixed(1)
      : value >= 0.1
        ? value.toFixed(2)
        : value.toPrecision(2);
}

const showFigure = ({ value, unit }: Figure): string => `${number(value)}${unit === '/s' ? '' : ' '}${unit}`;
const showQuartiles = ({ quartiles }: Ratio): string => (quartiles ? quartiles.map(number).join(' – ') : '');
const showLimit = ({ atLeast, atMost }: Goal): string =>
  [atLeast === undefined ? [] : [`≥ ${atLeast}`], atMost === undefined ? [] : [`≤ ${atMost}`]].flat().join(', ');
const showGoal = ({ goal, ours }: Row): string =>
  goal ? `${goal.of ? 'Orion ' : ''}${showLimit(goal)}${goal.of ? ` ${ours.unit}` : ''}` : '';

function cells(name: string, row: Row): string[] {
  const met = isMet(row);
  const decision = met === undefined ? '' : met ? 'met' : 'missed';
  return [
    name,
    row.what,
    showFigure(row.ours),
    row.against,
    showFigure(row.base),
    number(row.ratio.value),
    showQuartiles(row.ratio),
    showGoal(row),
    decision,
  ];
}

const lines = ({ benchmarks }: Report): string[][] =>
  benchmarks.flatMap(({ name, rows, failure }) =>
    failure === undefined
      ? rows.map((row) => cells(name, row))
      : [[name, `could not be measured: ${failure.split('\n')[0] ?? ''}`, '', '', '', '', '', '', '']],
  );

/** Above this, before the benchmark has begun, the machine has other work. */
const BUSY = 3;

function header({ machine, load, startedAt, seconds, commit }: Report): string[] {
  return [
    `${machine.cores} × ${machine.cpu}, ${machine.memoryGb} GB; ${machine.versions}.`,
    `${startedAt}, ${Math.round(seconds / 60)} min, commit ${commit}. Load of the minute before the first row ${load.before.toFixed(1)}, before the last one's end ${load.after.toFixed(1)} (the benchmark's own included).`,
    ...(load.before > BUSY
      ? ['**The machine was busy with other work: these figures are rough, and those that are no ratios mean little.**']
      : []),
  ];
}

/** For a terminal. */
export function toText(report: Report): string {
  const all = [HEADINGS, ...lines(report)];
  const widths = HEADINGS.map((_, at) => Math.max(...all.map((line) => line[at]?.length ?? 0)));
  const table = all.map((line) =>
    line
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const methods = report.benchmarks.map(({ name, method, seconds }) => `${name} (${Math.round(seconds)} s): ${method}`);
  return `${[...header(report), '', ...table, '', ...methods].join('\n')}\n`;
}

/** What docs/benchmarks.md holds. */
export function toMarkdown(report: Report): string {
  const row = (line: string[]): string => `| ${line.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return `${[
    '# Benchmarks',
    '',
    'Every row is a ratio: what Orion does against the least that it could take, both measured in the same run, by turns, on the same machine. Take the ratios elsewhere, not the figures.',
    '',
    `    ${report.command}`,
    '',
    ...header(report).flatMap((line) => [line, '']),
    row(HEADINGS),
    row(HEADINGS.map(() => '---')),
    ...lines(report).map(row),
    '',
    'Figures are medians over the rounds. A ratio is the median of the ratios of neighbouring rounds, so that what disturbs the machine disturbs both; the middle half says how far they spread.',
    '',
    '## How',
    '',
    ...report.benchmarks.map(({ name, method }) => `- **${name}**: ${method}`),
  ].join('\n')}\n`;
}
