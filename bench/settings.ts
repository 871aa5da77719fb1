import { testConstants } from '../test/lab';

/** Orion's defaults, over the fast ones that tests start a system with. */
export const DEFAULT_SETTINGS: Record<string, string> = {
  ...testConstants({}),
  ORION_PROBE_INTERVAL_SECONDS: '30',
  ORION_PLAY_TIMEOUT_SECONDS: '120',
  LOG_LEVEL: 'info',
};
