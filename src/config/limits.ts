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

/** From one address: logins within 5 min, new accounts within an hour, enrolments within a minute. Enough for an office or a rack. */
const PER_ADDRESS = { loginsPerAddress: 60, signupsPerAddress: 20, registrationsPerAddress: 60 };
/** A waiting request costs a connection, and a query every 0.5 s. Clients wait 15 s for a login. */
const LATE_LOGINS = { waiting: 64, everySeconds: 10 };
/** Per minute. An agent that a service manager restarts every 5 s stays below it. */
const REGISTRATIONS_PER_NODE = 20;

export function readLimits(env: EnvReader, loginsPerName: number): LimitsConfig {
  const factor = env.integer('ORION_ADDRESS_LIMIT_FACTOR', {
    default: 1,
    min: 1,
    max: 1_000_000,
    unit: 'times',
    roles: ['api'],
    doc:
      'Multiplies what one address may do: 60 logins within 5 min, 20 new accounts within an hour, ' +
      '60 machines that enrol within a minute. Raise it where many people or machines are behind one address. ' +
      'An address is an IPv4 address, an IPv6 /64 or, with four times the allowance, a /56.',
  });
  return {
    loginsPerAddress: PER_ADDRESS.loginsPerAddress * factor,
    signupsPerAddress: PER_ADDRESS.signupsPerAddress * factor,
    registrationsPerAddress: PER_ADDRESS.registrationsPerAddress * factor,
    loginsPerName,
    lateLogins: LATE_LOGINS,
    registrationsPerNode: REGISTRATIONS_PER_NODE,
  };
}
