/**
 * Writes docker/monitoring/dashboards, one file a dashboard. `--check` fails when a file is not up to date. `--rules` prints the
 * queries of all panels as rules instead, so that `promtool check rules` can read them.
 */
import { stringify } from 'yaml';
import { DASHBOARDS, panelQueries } from './lib/dashboards';
import { keepPage } from './lib/page';
import { grafanaOf } from './lib/panels';

if (process.argv.includes('--rules')) {
  const rules = panelQueries().map((expr, index) => ({ record: `panel:query:${index}`, expr }));
  process.stdout.write(stringify({ groups: [{ name: 'panels', rules }] }));
} else {
  DASHBOARDS.forEach((dashboard) => {
    const page = `docker/monitoring/dashboards/${dashboard.name}.json`;
    keepPage({ page, command: 'npm run docs:dashboards', write: () => grafanaOf(dashboard) });
  });
}
