import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, createEnvReader, type EnvReader } from './env';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'orion-env-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fileWith = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

const faultsOf = (reader: EnvReader): string[] => {
  try {
    reader.finish();
  } catch (error) {
    return error instanceof ConfigError ? error.faults : [];
  }
  return [];
};

describe('the environment reader', () => {
  it('gives typed values and defaults', () => {
    const reader = createEnvReader({ PORT: '8080', MODE: 'open', ON: 'Yes', URL: 'https://control:8443/base/', EMPTY: '' });
    expect(reader.integer('PORT', { min: 1, max: 65_535 })).toBe(8080);
    expect(reader.choice('MODE', ['token', 'open'])).toBe('open');
    expect(reader.boolean('ON')).toBe(true);
    expect(reader.url('URL')).toBe('https://control:8443/base');
    expect(reader.text('EMPTY', { default: 'fallback' })).toBe('fallback');
    expect(reader.optionalText('ABSENT')).toBeUndefined();
    expect(reader.boolean('ABSENT', { default: false })).toBe(false);
    expect(reader.integer('ABSENT', { default: 0 })).toBe(0);
    expect(() => reader.finish()).not.toThrow();
  });

  it('reads NAME from the file that NAME_FILE names and cuts one trailing newline', () => {
    const reader = createEnvReader({ SECRET_FILE: fileWith('secret', ' two words \n'), PORT_FILE: fileWith('port', '22\r\n') });
    expect(reader.text('SECRET', { secret: true })).toBe(' two words ');
    expect(reader.integer('PORT')).toBe(22);
    reader.finish();
  });

  it('reports every fault at once, each with its variable', () => {
    const reader = createEnvReader({ PORT: '70000', MODE: 'shut', ON: 'perhaps', URL: 'ftp://x', BOTH: 'a', BOTH_FILE: '/b', GONE_FILE: '/nowhere/at/all' });
    reader.integer('PORT', { min: 1, max: 65_535 });
    reader.choice('MODE', ['token', 'open']);
    reader.boolean('ON');
    reader.url('URL');
    reader.text('BOTH');
    reader.text('GONE');
    reader.text('MISSING');
    const faults = faultsOf(reader);
    expect(faults.map((fault) => fault.split(':')[0])).toEqual(['PORT', 'MODE', 'ON', 'URL', 'BOTH', 'GONE_FILE', 'MISSING']);
    expect(faults[0]).toContain('from 1 up to 65535');
    expect(faults[6]).toBe('MISSING: is required');
  });

  it('never shows a secret in a fault', () => {
    const reader = createEnvReader({ PIN: 'hunter2' });
    reader.integer('PIN', { secret: true });
    expect(faultsOf(reader).join()).not.toContain('hunter2');
  });
});
