import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { packageRoot } from '../../src/lib/package-root';

/** A rule of Prometheus: an alert, or a record that alerts read. */
interface Rule {
  expr: string;
  record?: string;
}

export interface Alert extends Rule {
  alert: string;
  for?: string;
  labels: { severity: string };
  annotations: { summary: string; do: string; runbook: string };
}

const isAlert = (rule: Rule): rule is Alert => 'alert' in rule;

/** All rules of docker/monitoring/alerts.yml. */
export function readRules(): Rule[] {
  const { groups } = parse(readFileSync(join(packageRoot(), 'docker/monitoring/alerts.yml'), 'utf8')) as { groups: { rules: Rule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

export const readAlerts = (): Alert[] => readRules().filter(isAlert);

/** Within a cell, a line break ends the table and `|` ends the cell. */
const conditionOf = ({ expr, for: duration }: Alert): string =>
  `\`${expr.replace(/\s+/g, ' ').replaceAll('|', '\\|')}\`${duration === undefined ? '' : ` for ${duration}`}`;

const rowOf = (alert: Alert): string => {
  const { summary, do: action, runbook } = alert.annotations;
  return `| [${alert.alert}](${runbook.replace('docs/operations.md', '')}) | ${alert.labels.severity} | ${conditionOf(alert)} | ${summary} | ${action} |`;
};

/** The table of alerts in docs/operations.md. */
export const alertsTable = (): string =>
  `| alert | severity | fires when | meaning | action |\n|---|---|---|---|---|\n${readAlerts().map(rowOf).join('\n')}`;
