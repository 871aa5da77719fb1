/** Writes the table of alerts in docs/operations.md from docker/monitoring/alerts.yml. `--check` fails when the table is not up to date. */
import { alertsTable } from './lib/alerts-table';
import { keepPage } from './lib/page';

const TABLE = /(<!-- alerts: [^>]*-->\n)[\s\S]*?(<!-- end of alerts -->)/;

keepPage({
  page: 'docs/operations.md',
  command: 'npm run docs:alerts',
  write: (text) => {
    if (!TABLE.test(text)) {
      throw new Error('docs/operations.md has no "<!-- alerts: … -->" and "<!-- end of alerts -->"');
    }
    return text.replace(TABLE, (_all, before: string, after: string) => `${before}\n${alertsTable()}\n\n${after}`);
  },
});
