import type { Constants } from '../../src/config/constants';

/** Environment that gives a process of Orion other constants than src/config/constants.ts. It replaces the whole of an earlier one. */
export const testConstants = (constants: Partial<Constants>): Record<string, string> => ({
  ORION_TEST_CONSTANTS: JSON.stringify(constants),
});
