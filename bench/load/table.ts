import type { LoadReport } from './run-load';

const ms = (value: number): string => (Number.isNaN(value) ? '-' : `${value.toFixed(value < 10 ? 1 : 0)} ms`);
const seconds = (value: number): string => (Number.isNaN(value) ? '-' : `${value.toFixed(1)} s`);
const number = (value: number): string =>
  Number.isNaN(value) ? '-' : value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(1);

const LINES: [string, (report: LoadReport) => string][] = [
  ['registrations', ({ registeredPerSecond }) => (registeredPerSecond > 0 ? `${number(registeredPerSecond)}/s` : '-')],
  ['heartbeats', ({ heartbeats }) => `${number(heartbeats.perSecond)}/s`],
  ['  interval told', ({ heartbeats }) => seconds(heartbeats.intervalSeconds)],
  ['  answer p50', ({ heartbeats }) => ms(heartbeats.p50)],
  ['  answer p99', ({ heartbeats }) => ms(heartbeats.p99)],
  ['  p99, first half', ({ heartbeats }) => ms(heartbeats.firstHalfP99)],
  ['  p99, second half', ({ heartbeats }) => ms(heartbeats.secondHalfP99)],
  ['  failed', ({ heartbeats }) => String(heartbeats.failures)],
  ['  nodes overdue', ({ heartbeats }) => String(heartbeats.overdueNodes)],
  ['  simulator late p99', ({ heartbeats }) => ms(heartbeats.simulatorLateP99)],
  ['probes', ({ probes }) => `${number(probes.perSecond)}/s`],
  ['  between two, p50', ({ probes }) => seconds(probes.silenceP50Seconds)],
  ['  between two, p99', ({ probes }) => seconds(probes.silenceP99Seconds)],
  ['  longest at the end', ({ probes }) => seconds(probes.longestSilenceSeconds)],
  ['  on time', ({ probes }) => (Number.isNaN(probes.onTimeShare) ? '-' : `${(probes.onTimeShare * 100).toFixed(1)} %`)],
  ['  logins', ({ probes }) => `${number(probes.loginsPerSecond)}/s`],
  ['  connections open', ({ probes }) => String(probes.connections)],
  ['rents', ({ rents }) => `${number(rents.perSecond)}/s`],
  ['  answer p50', ({ rents }) => ms(rents.p50)],
  ['  answer p99', ({ rents }) => ms(rents.p99)],
  ['  failed', ({ rents }) => String(rents.failed)],
  ['rows read', ({ rowsRead }) => `${number(rowsRead.perSecond)}/s`],
  ['  an operation', ({ rowsRead }) => number(rowsRead.perOperation)],
];

/** One column a size. An operation is a heartbeat, a probe or a rent. */
export function toTable(reports: readonly LoadReport[]): string {
  const roles = Object.keys(reports[0]?.roles ?? {});
  const lines = [
    ['nodes', ...reports.map(({ nodes }) => nodes.toLocaleString('en'))],
    ...LINES.map(([name, show]) => [name, ...reports.map(show)]),
    ...roles.map((role) => [role, ...reports.map((report) => showRole(report, role))]),
    [
      'by status',
      ...reports.map(({ statuses }) =>
        Object.entries(statuses)
          .map(([status, n]) => `${n} ${status}`)
          .join(', '),
      ),
    ],
  ];
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

function showRole({ roles }: LoadReport, role: string): string {
  const { processes = 0, cores = 0, residentMb = 0 } = roles[role] ?? {};
  return processes === 0 ? '-' : `${processes} × ≤ ${residentMb.toFixed(0)} MB, ${cores.toFixed(2)} cores`;
}
