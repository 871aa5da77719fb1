import type { Constants } from './constants';
import type { EnvReader } from './env';
import { NODE_ROLES } from './setting';

export interface WorkConfig {
  probe: {
    intervalSeconds: number;
    suspectIntervalSeconds: number;
    timeoutSeconds: number;
    concurrency: number;
    /** Connections to nodes are kept, and an answer over one is a probe. */
    kept: boolean;
  };
  work: {
    claimSeconds: number;
    playTimeoutSeconds: number;
    playConcurrency: number;
    prefork: boolean;
    rentWaitSeconds: number;
    outageSeconds: number;
    /** 0: ended leases and events are kept for ever. */
    historyDays: number;
  };
  intervals: { migrateSeconds: number; expireSeconds: number; workSeconds: number; watchSeconds: number };
  retry: { firstSeconds: number; maxSeconds: number };
}

export function readWork(env: EnvReader, constants: Constants): WorkConfig {
  return {
    probe: {
      intervalSeconds: env.seconds('ORION_PROBE_INTERVAL_SECONDS', {
        default: 30,
        roles: NODE_ROLES,
        doc:
          'Between two health checks of a node that is well. Each 20 intervals a check is a fresh login. Three failures in a row are a ' +
          'death.',
      }),
      suspectIntervalSeconds: constants.suspectIntervalSeconds,
      timeoutSeconds: constants.probeTimeoutSeconds,
      concurrency: constants.probeConcurrency,
      kept: constants.keepaliveProbes,
    },
    work: {
      claimSeconds: constants.claimSeconds,
      playTimeoutSeconds: env.seconds('ORION_PLAY_TIMEOUT_SECONDS', {
        default: 120,
        min: 5,
        roles: NODE_ROLES,
        doc: 'Longest run of a play. A wipe walks all files of the machine: raise it for machines with millions of files.',
      }),
      playConcurrency: env.integer('ORION_PLAY_CONCURRENCY', {
        default: 4,
        min: 1,
        max: 64,
        unit: 'plays',
        roles: NODE_ROLES,
        doc: 'Plays at once in a process. A play takes up to 256 MiB, and CPU while it begins.',
      }),
      prefork: env.boolean('ORION_WARM_PLAYS', {
        default: true,
        roles: NODE_ROLES,
        doc:
          'Plays run in prefork workers that have Ansible loaded ([how](adr/0017-warm-plays.md)). `false`: each is an ' +
          '`ansible-playbook`.',
      }),
      rentWaitSeconds: constants.rentWaitSeconds,
      outageSeconds: constants.outageSeconds,
      historyDays: env.integer('ORION_HISTORY_DAYS', {
        default: 400,
        min: 0,
        max: 36_500,
        unit: 'days',
        roles: ['scheduler'],
        doc:
          'A scheduler deletes ended leases and events that are older ([what, and what stays](operations.md#history)). 0: they are kept ' +
          'for ever.',
      }),
    },
    intervals: {
      migrateSeconds: constants.migrateIntervalSeconds,
      expireSeconds: constants.expireIntervalSeconds,
      workSeconds: constants.workIntervalSeconds,
      watchSeconds: constants.watchIntervalSeconds,
    },
    retry: { firstSeconds: constants.retryFirstSeconds, maxSeconds: constants.retryMaxSeconds },
  };
}
