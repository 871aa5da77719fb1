import { describe, expect, it } from '@jest/globals';
import { listSettings } from './catalogue';
import { RETIRED } from './retired';

const settings = listSettings().flatMap((section) => section.settings);
const names = new Set(settings.map(({ name }) => name));

describe('the catalogue of the settings', () => {
  it('holds at most 72 names', () => {
    expect(names.size).toBeLessThanOrEqual(72);
  });

  it.each(settings)('$name has a description, roles, and a unit where it is a number', ({ type, unit, doc, roles }) => {
    expect(doc).toMatch(/^[`A-Z].*\.$/);
    expect(doc).not.toContain('\n');
    expect(roles.length).toBeGreaterThan(0);
    expect(unit !== undefined && unit !== '').toBe(/number/.test(type));
  });

  it('holds no setting that was retired', () => {
    expect([...RETIRED.keys()].filter((name) => names.has(name))).toEqual([]);
  });

  it('holds a setting once in each section, and a shared one in the first section alone', () => {
    const rows = settings.map(({ name, roles }) => `${name} ${roles.join()}`);
    expect(rows).toEqual([...new Set(rows)]);
    expect(settings.filter(({ name }) => name === 'LOG_LEVEL')).toHaveLength(1);
  });
});
