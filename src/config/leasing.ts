import { MAX_UID, parseUidRange, UID_RANGE_RULE, type UidRange } from '../lib/uid-range';
import type { Constants } from './constants';
import type { EnvReader } from './env';
import { NODE_ROLES } from './setting';

export interface LeasingConfig {
  accounts: { signup: 'open' | 'closed'; maxLeases: number; maxLeaseHours: number; minLeaseSeconds: number };
  enrolment: 'token' | 'open';
  /** For the accounts of leases. */
  uids: UidRange;
  heartbeat: {
    /** At most a third of the contact limit, so that one call may get lost. */
    intervalSeconds: number;
    overdueSeconds: number;
    /** How seldom a node without accounts calls at most. */
    idleSeconds: number;
    /** After so long without contact a node holds its accounts; 0: never. */
    contactLimitSeconds: number;
  };
}

export function readLeasing(env: EnvReader, constants: Constants): LeasingConfig {
  return {
    accounts: {
      signup: env.choice('ORION_SIGNUP', ['open', 'closed'], {
        default: 'open',
        roles: ['api'],
        doc: '`closed`: only operators make accounts.',
      }),
      maxLeases: env.integer('ORION_MAX_LEASES', {
        default: 5,
        min: 0,
        unit: 'leases',
        roles: ['api'],
        doc: 'Quota of a new account: leases at a time.',
      }),
      maxLeaseHours: env.integer('ORION_MAX_LEASE_HOURS', {
        default: 24,
        min: 1,
        unit: 'h',
        roles: ['api'],
        doc: 'Quota of a new account: longest lease.',
      }),
      minLeaseSeconds: constants.minLeaseSeconds,
    },
    enrolment: env.choice('ORION_ENROLMENT', ['token', 'open'], {
      default: 'token',
      roles: ['api'],
      doc: '`token`: a machine needs a join token or the approval of an operator. `open` admits every machine: closed test networks only.',
    }),
    uids: readUids(env),
    heartbeat: readHeartbeat(env, constants),
  };
}

function readHeartbeat(env: EnvReader, constants: Constants): LeasingConfig['heartbeat'] {
  const contactLimitSeconds = env.seconds('ORION_CONTACT_LIMIT_SECONDS', {
    default: 15,
    min: 0,
    roles: ['api'],
    doc:
      'A node that has heard nothing of an account for so long suspends it: no login, processes frozen, until it hears of it again ' +
      '([timing](reliability.md#a-node-that-is-cut-off)). Agents call home three times within it. 0: never.',
  });
  const { heartbeatIntervalSeconds: longest } = constants;
  const intervalSeconds = contactLimitSeconds > 0 ? Math.min(longest, contactLimitSeconds / 3) : longest;
  return {
    intervalSeconds,
    overdueSeconds: intervalSeconds * constants.overdueIntervals,
    idleSeconds: constants.heartbeatIdleSeconds,
    contactLimitSeconds,
  };
}

const DEFAULT_UIDS = { first: 70_000, last: MAX_UID };
/** Below are the uids of the systems' own accounts and of people. */
const LOWEST_UID = 10_000;

function readUids(env: EnvReader): UidRange {
  const text =
    readFormerUids(env) ??
    env.text('ORION_UID_RANGE', {
      default: `${DEFAULT_UIDS.first}-${DEFAULT_UIDS.last}`,
      roles: NODE_ROLES,
      doc:
        "`first-last`: range of the tenants' uids and gids, for all nodes together. All roles need the same. " +
        'Choose one that no directory service of your machines uses ([why](adr/0029-uids-of-the-fleet-and-shared-storage.md)).',
    });
  const range = parseUidRange(text);
  if (range === undefined || range.first < LOWEST_UID) {
    env.fault('ORION_UID_RANGE', `${UID_RANGE_RULE}, and none below ${LOWEST_UID} for the whole fleet (it is ${JSON.stringify(text)})`);
  }
  return range ?? DEFAULT_UIDS;
}

/** Release 0.1.0 still takes the range as the two numbers that it once was. */
function readFormerUids(env: EnvReader): string | undefined {
  const [first, last] = [env.undocumented('ORION_FIRST_UID'), env.undocumented('ORION_LAST_UID')];
  return first === undefined && last === undefined ? undefined : `${first ?? DEFAULT_UIDS.first}-${last ?? DEFAULT_UIDS.last}`;
}
