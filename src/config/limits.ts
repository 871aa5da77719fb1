import type { EnvReader } from './env';

/** Limits for attempts by strangers. All replicas count together. */
export interface LimitsConfig {
  loginsPerAddress: number;
  loginsPerName: number;
  lateLogins: { waiting: number; everySeconds: number };
  signupsPerAddress: number;
  registrationsPerAddress: number;
  registrationsPerNode: number;
}

/** A waiting request costs a connection, and a query every 0.5 s. Clients wait 15 s for a login. */
const LATE_LOGINS = { waiting: 64, everySeconds: 10 };
/** Per minute. An agent that a service manager restarts every 5 s stays below it. */
const REGISTRATIONS_PER_NODE = 20;

export function readLimits(env: EnvReader): LimitsConfig {
  return {
    loginsPerAddress: env.integer('ORION_LIMIT_LOGINS_PER_ADDRESS', { default: 60, min: 1 }),
    loginsPerName: env.integer('ORION_LIMIT_LOGINS_PER_NAME', { default: 10, min: 1 }),
    lateLogins: LATE_LOGINS,
    signupsPerAddress: env.integer('ORION_LIMIT_SIGNUPS_PER_ADDRESS', { default: 20, min: 1 }),
    registrationsPerAddress: env.integer('ORION_LIMIT_REGISTRATIONS_PER_ADDRESS', { default: 60, min: 1 }),
    registrationsPerNode: REGISTRATIONS_PER_NODE,
  };
}
