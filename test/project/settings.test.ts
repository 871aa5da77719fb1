import { describe, expect, it } from '@jest/globals';
import { listSettings } from '../../src/config/catalogue';
import { RETIRED } from '../../src/config/retired';
import { settingsPage } from '../../scripts/lib/settings-page';
import { projectFiles, readProjectFile } from './files';

const NAME = /\bORION_[A-Z0-9_]*[A-Z0-9]\b/g;
/** They tell of the past, or handle it. */
const HISTORY = /^(CHANGELOG\.md|docs\/operations\.md|src\/config\/.*|test\/project\/settings\.test\.ts)$/;

describe('settings', () => {
  it('that were retired are named nowhere, for nobody could use them', () => {
    const files = projectFiles.filter((file) => /\.(ts|mjs|sh|md)$/.test(file) && !HISTORY.test(file));
    const found = files.flatMap((file) =>
      [...readProjectFile(file).matchAll(NAME)].filter(([name]) => RETIRED.has(name)).map(([name]) => `${file}: ${name}`),
    );
    expect(found).toEqual([]);
  });

  it('are described by docs/settings.md as src/config declares them', () => {
    expect(readProjectFile('docs/settings.md')).toBe(settingsPage());
  });

  it('of the README are at most 15, and exist', () => {
    const known = new Set(listSettings().flatMap(({ settings }) => settings.map(({ name }) => name)));
    const rows = [...readProjectFile('README.md').matchAll(/^\| `(ORION_[A-Z_]+)` \|/gm)].map(([, name = '']) => name);
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.length).toBeLessThanOrEqual(15);
    expect(rows.filter((name) => !known.has(name))).toEqual([]);
  });
});
