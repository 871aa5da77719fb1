import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, createEnvReader, type EnvReader } from './env';
import type { Setting } from './setting';

const about = { roles: ['api'], doc: 'What it does.' } as const;
const count = { ...about, unit: 'things' };

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
    expect(reader.integer('PORT', { ...count, min: 1, max: 65_535 })).toBe(8080);
    expect(reader.choice('MODE', ['token', 'open'], about)).toBe('open');
    expect(reader.boolean('ON', about)).toBe(true);
    expect(reader.url('URL', about)).toBe('https://control:8443/base');
    expect(reader.text('EMPTY', { ...about, default: 'fallback' })).toBe('fallback');
    expect(reader.optionalText('ABSENT', about)).toBeUndefined();
    expect(reader.boolean('ABSENT', { ...about, default: false })).toBe(false);
    expect(reader.integer('ABSENT', { ...count, default: 0 })).toBe(0);
    expect(() => reader.finish()).not.toThrow();
  });

  it('reads NAME from the file that NAME_FILE names and cuts one trailing newline', () => {
    const reader = createEnvReader({ SECRET_FILE: fileWith('secret', ' two words \n'), PORT_FILE: fileWith('port', '22\r\n') });
    expect(reader.text('SECRET', { ...about, secret: true })).toBe(' two words ');
    expect(reader.integer('PORT', count)).toBe(22);
    reader.finish();
  });

  it('reports every fault at once, each with its variable', () => {
    const reader = createEnvReader({
      PORT: '70000',
      MODE: 'shut',
      ON: 'perhaps',
      URL: 'ftp://x',
      BOTH: 'a',
      BOTH_FILE: '/b',
      GONE_FILE: '/nowhere/at/all',
    });
    reader.integer('PORT', { ...count, min: 1, max: 65_535 });
    reader.choice('MODE', ['token', 'open'], about);
    reader.boolean('ON', about);
    reader.url('URL', about);
    reader.text('BOTH', about);
    reader.text('GONE', about);
    reader.text('MISSING', about);
    const faults = faultsOf(reader);
    expect(faults.map((fault) => fault.split(':')[0])).toEqual(['PORT', 'MODE', 'ON', 'URL', 'BOTH', 'GONE_FILE', 'MISSING']);
    expect(faults[0]).toContain('from 1 up to 65535');
    expect(faults[6]).toBe('MISSING: is required');
  });

  it('never shows a secret in a fault', () => {
    const reader = createEnvReader({ PIN: 'hunter2' });
    reader.integer('PIN', { ...count, secret: true });
    expect(faultsOf(reader).join()).not.toContain('hunter2');
  });

  it('reads durations with fractions, within their bounds', () => {
    const reader = createEnvReader({ SHORT: '0.5', LONG: '86401', NO: 'soon', INFINITE: 'Infinity' });
    expect(reader.seconds('SHORT', { ...about, default: 5 })).toBe(0.5);
    expect(reader.seconds('ABSENT', { ...about, default: 5 })).toBe(5);
    for (const name of ['LONG', 'NO', 'INFINITE']) {
      reader.seconds(name, { ...about, default: 5 });
    }
    const problem = 'must be a number of seconds from 0.05 to 86400';
    const faults = [
      ['LONG', '86401'],
      ['NO', 'soon'],
      ['INFINITE', 'Infinity'],
    ].map(([name, value]) => `${name}: ${problem} (it is "${value}")`);
    expect(faultsOf(reader)).toEqual(faults);
  });

  it('reads a setting by its former name, which wins', () => {
    const reader = createEnvReader({ OLD: '1', NEW: '2', NEWER: '3' });
    expect(reader.integer('NEW', { ...count, former: 'OLD' })).toBe(1);
    expect(reader.integer('NEWER', { ...count, former: 'ABSENT' })).toBe(3);
  });

  it('declares what it reads, and no value', () => {
    const declared: Setting[] = [];
    const reader = createEnvReader({ PORT: '80', KEY: 'hunter2' }, (setting) => void declared.push(setting));
    reader.integer('PORT', { ...count, default: 22, min: 1 });
    reader.text('KEY', { ...about, secret: true });
    reader.optionalText('NOTE', about);
    expect(declared).toEqual([
      { ...count, name: 'PORT', type: 'whole number from 1', default: '22', required: false },
      { ...about, name: 'KEY', type: 'secret', unit: undefined, default: undefined, required: true },
      { ...about, name: 'NOTE', type: 'text', unit: undefined, default: undefined, required: false },
    ]);
  });
});
