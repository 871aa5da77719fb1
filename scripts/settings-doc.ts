/** Writes docs/settings.md from the declarations in src/config; `--check` fails when the page is not up to date. */
import { keepPage } from './lib/page';
import { settingsPage } from './lib/settings-page';

keepPage({ page: 'docs/settings.md', command: 'npm run docs:settings', write: settingsPage });
