import type { EnvReader } from './env';

/**
 * Numbers that no operator has to choose, and that tests change: a test that waits 30 s for a claim to expire would take too long.
 * A process reads the overrides from ORION_TEST_CONSTANTS, a JSON object. Constants that no test changes stand beside their use.
 */
export const CONSTANTS = {
  /** Pause between probes of a suspect node: a death takes 4 s where each connection is refused at once. */
  suspectIntervalSeconds: 2,
  /** Timeout of one probe. A longer one costs time where packets vanish: a death takes three of them (docs/reliability.md). */
  probeTimeoutSeconds: 5,
  /** Logins to nodes at once in one scheduler: with all of them silent it still tries six nodes a second. */
  probeConcurrency: 32,
  /** Schedulers keep connections to nodes and probe over them (docs/adr/0019-kept-probes.md). False: each probe is a login. */
  keepaliveProbes: true,

  /** Pause between heartbeats of a node that has accounts: a third of the default contact limit, so that one call may get lost. */
  heartbeatIntervalSeconds: 5,
  /** Heartbeat intervals without a call after which a node is suspect: two missed calls, and half an interval for a late one. */
  overdueIntervals: 2.5,
  /** Longest interval of a node without accounts and without changed vitals. */
  heartbeatIdleSeconds: 60,

  /**
   * A claim expires after this time without a renewal, and is renewed at a third of it. So long the work of a dead process stands still.
   */
  claimSeconds: 30,
  /** A rent whose accounts are not there by then is answered 202. It suffices for a second node after the first one failed. */
  rentWaitSeconds: 60,
  /** Silence of all schedulers after which deaths are judged anew: nodes may have failed because of the outage. */
  outageSeconds: 10,

  /** Pause after which a lease that found no node is tried again. */
  migrateIntervalSeconds: 10,
  /** Pause between two searches for leases that are over; a lease ends so late at most. */
  expireIntervalSeconds: 5,
  /** Pause between two searches for accounts and wipes that are due. */
  workIntervalSeconds: 1,
  /** Pause between two searches for silent agents. */
  watchIntervalSeconds: 2,
  /** Pause after a play that failed. It doubles up to the maximum, so that a broken node costs 12 plays an hour. */
  retryFirstSeconds: 5,
  retryMaxSeconds: 300,

  /** Shortest lease. An account for less time than it takes to log in is of no use. */
  minLeaseSeconds: 60,
  /** Life of an access token: people log in once in a working day. */
  tokenSeconds: 12 * 3600,
  /** Failed logins with one name within 5 min, wherever they come from. */
  loginsPerName: 10,
  /** The management account on nodes. Agents accept no other name; tests that start no agent log in as root. */
  managementUser: 'orion-mgmt',

  /** Pause between two samples of a service. */
  scaleIntervalSeconds: 5,
  /** Idleness before a replica goes, so that load which returns each minute keeps its replicas. */
  scaleStabilisationSeconds: 60,
  /** Pause between two changes of a service: a new replica needs some seconds before it relieves the others. */
  scaleCooldownSeconds: 15,
  /** Another autoscaler leads after this time without a renewal. */
  scaleLeaderSeconds: 15,

  /** About how often an agent asks for the newest head of the audit log. Each costs the API a proof: 100,000 nodes cause 170 a second. */
  auditHeadSeconds: 600,
  /** An agent that reaches nobody ends an account this long after the end of its lease: clocks may differ. */
  fenceGraceSeconds: 60,
  /** The agent makes the management account and suspends accounts. False: tests that run an agent on the machine of the tests. */
  manageAccounts: true,
  /** Where the agent keeps its state. The programs of the provisioning have the same path. */
  stateDir: '/var/lib/orion',
  /** What the agent declares in place of what it measures; 0: what it measures. */
  cpus: 0,
  memoryMb: 0,
};

export type Constants = typeof CONSTANTS;

export const TEST_CONSTANTS = 'ORION_TEST_CONSTANTS';

/** The constants, with the overrides of a test. An unknown name or a value of another type is a fault. */
export function readConstants(env: EnvReader): Constants {
  const text = env.undocumented(TEST_CONSTANTS);
  const overrides = text === undefined ? {} : parseObject(text);
  const known: Record<string, unknown> = CONSTANTS;
  if (!overrides || Object.entries(overrides).some(([name, value]) => !Object.hasOwn(known, name) || typeof value !== typeof known[name])) {
    env.fault(TEST_CONSTANTS, 'must be a JSON object with names and types as in src/config/constants.ts');
    return CONSTANTS;
  }
  return { ...CONSTANTS, ...overrides };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
