import { describe, expect, it } from '@jest/globals';
import { CONSTANTS, readConstants } from './constants';
import { createEnvReader } from './env';

describe('constants that tests override', () => {
  it('are what the table holds, unless a test gives another value', () => {
    expect(readConstants(createEnvReader({}))).toEqual(CONSTANTS);
    const reader = createEnvReader({ ORION_TEST_CONSTANTS: '{"claimSeconds":0.5,"managementUser":"root","manageAccounts":false}' });
    expect(readConstants(reader)).toEqual({ ...CONSTANTS, claimSeconds: 0.5, managementUser: 'root', manageAccounts: false });
    expect(() => reader.finish()).not.toThrow();
  });

  const wrong = ['{"claimsSeconds":1}', '{"claimSeconds":"1"}', '{"claimSeconds":null}', '{"constructor":1}', '[1]', '1', 'null', '{'];
  it.each(wrong)('%s is a fault', (text) => {
    const reader = createEnvReader({ ORION_TEST_CONSTANTS: text });
    expect(readConstants(reader)).toEqual(CONSTANTS);
    expect(() => reader.finish()).toThrow('ORION_TEST_CONSTANTS: must be a JSON object');
  });
});
