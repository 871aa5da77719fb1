import { describe, expect, it } from '@jest/globals';
import { listSettings } from './catalogue';
import { showSettings } from './shown-settings';

const CANARY = 'canary-4b7e19c2';
const valueOf = (env: Record<string, string>, name: string): string | null | undefined =>
  showSettings(env, ['api']).find((setting) => setting.name === name)?.value;

describe('settings for a support bundle', () => {
  it('show values and defaults, and of a secret whether it is set', () => {
    const env = { ORION_HTTP_PORT: '8080', ORION_JWT_KEY: CANARY, ORION_DB_PASSWORD_FILE: '/run/secrets/db' };
    expect(
      ['ORION_HTTP_PORT', 'ORION_SIGNUP', 'ORION_JWT_KEY', 'ORION_CONTROL_KEY', 'ORION_DB_PASSWORD'].map((name) => valueOf(env, name)),
    ).toEqual(['8080', 'open', 'set', null, 'file /run/secrets/db']);
  });

  it('contain no secret, also in a URL', () => {
    const secrets = listSettings()
      .flatMap(({ settings }) => settings)
      .filter(({ type }) => type === 'secret')
      .map(({ name }) => [name, CANARY]);
    const env = { ...Object.fromEntries(secrets), ORION_PUBLIC_URL: `https://ada:${CANARY}@orion.example` } as Record<string, string>;
    expect(secrets.length).toBeGreaterThan(5);
    expect(JSON.stringify(showSettings(env, ['api', 'scheduler', 'gateway', 'autoscaler', 'agent']))).not.toContain(CANARY);
    expect(valueOf(env, 'ORION_PUBLIC_URL')).toBe('https://[redacted]@orion.example');
  });

  it('are those of the roles of the process alone', () => {
    expect(showSettings({}, ['scheduler']).map(({ name }) => name)).not.toContain('ORION_JWT_KEY');
  });
});
