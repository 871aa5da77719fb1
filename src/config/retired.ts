import type { Logger } from '../lib/logger';
import { TEST_CONSTANTS } from './constants';

/** The release from which on the settings below have no effect. */
const SINCE = '0.1.0';

const SUGGESTIONS: [names: string[], suggestion: string][] = [
  [['ORION_HEARTBEAT_INTERVAL_SECONDS', 'ORION_HEARTBEAT_OVERDUE_SECONDS'], 'it follows from ORION_CONTACT_LIMIT_SECONDS'],
  [['ORION_DEEP_CHECK_SECONDS'], 'it is 20 times ORION_PROBE_INTERVAL_SECONDS'],
  [
    ['ORION_LIMIT_LOGINS_PER_ADDRESS', 'ORION_LIMIT_SIGNUPS_PER_ADDRESS', 'ORION_LIMIT_REGISTRATIONS_PER_ADDRESS'],
    'use ORION_ADDRESS_LIMIT_FACTOR',
  ],
  [['ORION_CPUS', 'ORION_MEMORY_MB'], 'the agent measures them; use `orion node limit` to offer less'],
  [['ORION_STATE_DIR'], 'it is /var/lib/orion'],
  [['ORION_RENT_GROUP_MAX'], 'it is a constant now'],
  [
    [
      'ORION_SUSPECT_INTERVAL_SECONDS',
      'ORION_PROBE_TIMEOUT_SECONDS',
      'ORION_PROBE_CONCURRENCY',
      'ORION_DEAD_AFTER_FAILURES',
      'ORION_KEPT_PROBES',
      'ORION_MAX_KEPT_PROBES',
      'ORION_HEARTBEAT_IDLE_SECONDS',
      'ORION_HEARTBEAT_BATCH_MS',
      'ORION_HEARTBEATS_PER_SECOND',
      'ORION_CLAIM_SECONDS',
      'ORION_RENT_WAIT_SECONDS',
      'ORION_OUTAGE_SECONDS',
      'ORION_PLAY_MEMORY_MB',
      'ORION_MIGRATE_INTERVAL_SECONDS',
      'ORION_EXPIRE_INTERVAL_SECONDS',
      'ORION_WORK_INTERVAL_SECONDS',
      'ORION_WATCH_INTERVAL_SECONDS',
      'ORION_RETRY_FIRST_SECONDS',
      'ORION_RETRY_MAX_SECONDS',
      'ORION_MAX_WIPE_FAILURES',
      'ORION_MAX_PROVISION_FAILURES',
      'ORION_MIN_LEASE_SECONDS',
      'ORION_MAX_PENDING_NODES',
      'ORION_JWT_TTL_SECONDS',
      'ORION_LIMIT_LOGINS_PER_NAME',
      'ORION_MANAGEMENT_USER',
      'ORION_CHECKPOINT_CONCURRENCY',
      'ORION_GATEWAY_WARN_SECONDS',
      'ORION_GATEWAY_MAX_CONNECTIONS',
      'ORION_SCALE_TOLERANCE_PERCENT',
      'ORION_SCALE_LAG_SECONDS',
      'ORION_SCALE_INTERVAL_SECONDS',
      'ORION_SCALE_STABILISATION_SECONDS',
      'ORION_SCALE_COOLDOWN_SECONDS',
      'ORION_SCALE_LEADER_SECONDS',
      'ORION_FENCE_GRACE_SECONDS',
      'ORION_MANAGE_ACCOUNTS',
    ],
    'it is a constant now',
  ],
];

/** Settings without effect, with what to do instead. */
export const RETIRED: ReadonlyMap<string, string> = new Map(
  SUGGESTIONS.flatMap(([names, suggestion]) => names.map((name) => [name, suggestion] as const)),
);

/** Former names, which work for one release more. */
const RENAMED: ReadonlyMap<string, string> = new Map([
  ['ORION_FIRST_UID', 'ORION_UID_RANGE'],
  ['ORION_LAST_UID', 'ORION_UID_RANGE'],
  ['ORION_SCALE_DRIVER_HOST', 'ORION_HTTP_HOST'],
  ['ORION_SCALE_DRIVER_PORT', 'ORION_HTTP_PORT'],
]);

/** Logs, once at start, each variable that does not do what its owner may expect. No value is logged. */
export function warnOfSettings(source: NodeJS.ProcessEnv, logger: Logger): void {
  const isSet = (name: string): boolean => [source[name], source[`${name}_FILE`]].some((value) => value !== undefined && value !== '');
  for (const [setting, suggestion] of [...RETIRED].filter(([name]) => isSet(name))) {
    logger.warn('setting has no effect', { setting, since: SINCE, suggestion });
  }
  for (const [setting, now] of [...RENAMED].filter(([name]) => isSet(name))) {
    logger.warn('setting was renamed: the next release ignores the old name', { setting, since: SINCE, now });
  }
  if (isSet(TEST_CONSTANTS)) {
    logger.warn('constants overridden for a test', { setting: TEST_CONSTANTS });
  }
}
