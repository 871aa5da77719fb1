import { describe, expect, it } from '@jest/globals';
import { createLogger, type LogFields } from '../lib/logger';
import { RETIRED, warnOfSettings } from './retired';

function warningsFor(env: Record<string, string>): [message: string, fields: LogFields][] {
  const warnings: [string, LogFields][] = [];
  warnOfSettings(
    env,
    createLogger('warn', (_level, message, fields) => void warnings.push([message, fields])),
  );
  return warnings;
}

describe('settings without effect', () => {
  it.each([...RETIRED.keys()])('%s is named in one warning', (setting) => {
    const fields = { setting, since: '0.1.0', suggestion: RETIRED.get(setting) };
    expect(warningsFor({ [setting]: '5' })).toEqual([['setting has no effect', fields]]);
    expect(warningsFor({ [`${setting}_FILE`]: '/run/secrets/x' })).toEqual([['setting has no effect', fields]]);
  });

  it('a renamed setting is named with its new name', () => {
    for (const [setting, now] of [
      ['ORION_FIRST_UID', 'ORION_UID_RANGE'],
      ['ORION_SCALE_DRIVER_PORT', 'ORION_HTTP_PORT'],
    ] as const) {
      expect(warningsFor({ [setting]: '500000' })).toEqual([[expect.stringContaining('renamed'), { setting, since: '0.1.0', now }]]);
    }
  });

  it('overridden constants are named, for they are for tests alone', () => {
    const fields = { setting: 'ORION_TEST_CONSTANTS' };
    expect(warningsFor({ ORION_TEST_CONSTANTS: '{"claimSeconds":1}' })).toEqual([['constants overridden for a test', fields]]);
  });

  it('no other variable is: neither settings in use, nor empty ones, nor those of compose', () => {
    expect(warningsFor({ ORION_CLAIM_SECONDS: '', ORION_DB_HOST: 'db', ORION_DOMAIN: 'orion.example', PATH: '/bin' })).toEqual([]);
  });
});
