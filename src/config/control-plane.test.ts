import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadControlPlaneConfig, loadDatabaseConfig } from './control-plane';
import { ConfigError } from './env';

let folder: string;
let good: Record<string, string>;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'orion-config-'));
  for (const [name, content] of Object.entries({ key: 'the private key', jwt: `${'j'.repeat(40)}\n`, password: 'from a file\n' })) {
    writeFileSync(join(folder, name), content);
  }
  good = {
    ORION_SSH_KEY_FILE: join(folder, 'key'),
    ORION_JWT_KEY: 'j'.repeat(32),
    ORION_CONTROL_KEY: 'the control key',
    ORION_DB_PASSWORD: 'secret-of-the-database',
  };
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const load = (env: Record<string, string>, roles = ['api']): ReturnType<typeof loadControlPlaneConfig> =>
  loadControlPlaneConfig(env, roles);

function faultsOf(env: Record<string, string>, roles?: string[]): string[] {
  try {
    load(env, roles);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).faults;
  }
  return [];
}

describe('the configuration of the control plane', () => {
  it('takes one address for the relay, which others can go to, and not all of them', () => {
    expect(faultsOf({ ...good, ORION_RELAY_HOST: '0.0.0.0' })).toEqual([expect.stringContaining('ORION_RELAY_HOST')]);
    expect(faultsOf({ ...good, ORION_RELAY_HOST: '10.0.0.7' })).toEqual([]);
  });

  it('takes a range of uids in which a block fits', () => {
    expect(load(good).uids).toEqual({ first: 70_000, last: 2_000_000_000 });
    expect(load({ ...good, ORION_UID_RANGE: '500000-500127' }).uids).toEqual({ first: 500_000, last: 500_127 });
    for (const range of ['500000-500126', '9999-70000', '500000']) {
      const faults = faultsOf({ ...good, ORION_UID_RANGE: range });
      expect(faults).toEqual([expect.stringContaining('ORION_UID_RANGE: must be first-last with at least 128 numbers')]);
    }
  });

  it('takes the range of uids from the two settings that an earlier release had', () => {
    expect(load({ ...good, ORION_FIRST_UID: '500000' }).uids).toEqual({ first: 500_000, last: 2_000_000_000 });
    expect(load({ ...good, ORION_FIRST_UID: '500000', ORION_LAST_UID: '500127' }).uids).toEqual({ first: 500_000, last: 500_127 });
  });

  it('takes a public URL that a script may hold, and no other', () => {
    expect(load({ ...good, ORION_PUBLIC_URL: 'https://Orion.example:443/' }).http.publicUrl).toBe('https://orion.example');
    expect(faultsOf({ ...good, ORION_PUBLIC_URL: "https://a'; id" })).toEqual([expect.stringContaining('ORION_PUBLIC_URL: must be')]);
  });

  it('R20, R21, R22: an API needs four things and has the documented schedule by default', () => {
    const config = load(good);
    expect(config.probe).toMatchObject({ intervalSeconds: 30, suspectIntervalSeconds: 2 });
    expect(config.intervals.migrateSeconds).toBe(10);
    expect(config.intervals.expireSeconds).toBeLessThanOrEqual(60);
    expect(config).toMatchObject({
      enrolment: 'token',
      ssh: { privateKey: 'the private key' },
      http: { trustProxy: false },
      heartbeat: { intervalSeconds: 5, overdueSeconds: 12.5, contactLimitSeconds: 15 },
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('I8: lets agents call three times within the contact limit, whatever the interval; without a limit the interval alone counts', () => {
    const rhythm = (limit: string, heartbeatIntervalSeconds: number): unknown => {
      const constants = JSON.stringify({ heartbeatIntervalSeconds });
      return load({ ...good, ORION_CONTACT_LIMIT_SECONDS: limit, ORION_TEST_CONSTANTS: constants }).heartbeat.intervalSeconds;
    };
    expect([rhythm('6', 5), rhythm('60', 5), rhythm('0', 30)]).toEqual([2, 5, 30]);
  });

  it('R44: each role needs its own keys, and looks at no other', () => {
    const { ORION_SSH_KEY_FILE = '', ORION_DB_PASSWORD = '' } = good;
    expect(load({ ORION_DB_PASSWORD, ORION_SSH_KEY_FILE }, ['scheduler'])).toMatchObject({
      apiKeys: null,
      ssh: { privateKey: 'the private key' },
    });
    expect(load({ ORION_DB_PASSWORD }, ['gateway'])).toMatchObject({ apiKeys: null, ssh: null });
    expect(faultsOf({ ORION_DB_PASSWORD }, ['gateway', 'scheduler'])).toEqual(['ORION_SSH_KEY_FILE: is required']);
    expect(load({ ...good, ORION_JWT_KEY: 'short' }, ['gateway']).apiKeys).toBeNull();
    expect(load(good, ['gateway', 'api'])).toMatchObject({
      apiKeys: { jwt: { key: 'j'.repeat(32) }, control: { key: 'the control key' } },
      ssh: { privateKey: 'the private key' },
    });
  });

  it('R44: takes secrets from files', () => {
    const { ORION_SSH_KEY_FILE = '' } = good;
    const config = load({
      ORION_SSH_KEY_FILE,
      ORION_JWT_KEY_FILE: join(folder, 'jwt'),
      ORION_CONTROL_KEY_FILE: join(folder, 'key'),
      ORION_DB_PASSWORD_FILE: join(folder, 'password'),
    });
    expect([config.apiKeys?.jwt.key, config.database.password]).toEqual(['j'.repeat(40), 'from a file']);
  });

  it('R44: takes further keys of access tokens, one a line', () => {
    const [first, second] = ['k'.repeat(32), 'l'.repeat(40)];
    expect(load(good).apiKeys?.jwt.extraKeys).toEqual([]);
    expect(load({ ...good, ORION_JWT_EXTRA_KEYS: `${first}\n\n${second}\n` }).apiKeys?.jwt.extraKeys).toEqual([first, second]);
    expect(faultsOf({ ...good, ORION_JWT_EXTRA_KEYS: `${first}\nshort` })).toEqual([
      'ORION_JWT_EXTRA_KEYS: must be keys of at least 32 characters, one a line',
    ]);
  });

  it('R44: tells every fault at once, each by its variable, and no secret', () => {
    const faults = faultsOf({
      ORION_JWT_KEY: 'too-short-secret',
      ORION_SSH_KEY_FILE: '/nowhere/key',
      ORION_DB_PORT: '70000',
      ORION_ENROLMENT: 'everybody',
      ORION_PROBE_INTERVAL_SECONDS: 'often',
      ORION_PLAY_CONCURRENCY: '0',
      ORION_WARM_PLAYS: 'perhaps',
      LOG_LEVEL: 'loud',
    });
    expect(faults.map((fault) => fault.split(':')[0]).toSorted()).toEqual([
      'LOG_LEVEL',
      'ORION_CONTROL_KEY',
      'ORION_DB_PASSWORD',
      'ORION_DB_PORT',
      'ORION_ENROLMENT',
      'ORION_JWT_KEY',
      'ORION_PLAY_CONCURRENCY',
      'ORION_PROBE_INTERVAL_SECONDS',
      'ORION_SSH_KEY_FILE',
      'ORION_WARM_PLAYS',
    ]);
    expect(faults.join()).not.toContain('too-short-secret');
  });

  it('multiplies what one address may do, and nothing else', () => {
    const { limits } = load(good);
    const thrice = { ...limits, loginsPerAddress: 180, signupsPerAddress: 60, registrationsPerAddress: 180 };
    expect(load({ ...good, ORION_ADDRESS_LIMIT_FACTOR: '3' }).limits).toEqual(thrice);
  });

  it.each(['NaN', 'Infinity', '-1', '1e308', '0'])('refuses %s as seconds', (value) => {
    expect(faultsOf({ ...good, ORION_PROBE_INTERVAL_SECONDS: value })).toHaveLength(1);
  });

  it('commands that need the database alone ask for nothing else', () => {
    expect(loadDatabaseConfig({ ORION_DB_PASSWORD: 'p' })).toMatchObject({
      host: '127.0.0.1',
      port: 3306,
      user: 'orion',
      password: 'p',
      database: 'orion',
    });
    expect(() => loadDatabaseConfig({})).toThrow('ORION_DB_PASSWORD: is required');
  });
});
