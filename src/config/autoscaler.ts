import type { LogLevel } from '../lib/logger';
import { readConstants } from './constants';
import { type DatabaseConfig, readDatabase } from './database';
import { createEnvReader, type EnvReader } from './env';
import { type OpsConfig, readOps } from './http';
import { readLogLevel } from './log-level';
import { readServiceBounds, type ServiceBounds } from './scale-bounds';

export interface AutoscalerConfig {
  logLevel: LogLevel;
  database: DatabaseConfig;
  ops: OpsConfig;
  /** URL of the scale driver. */
  driverUrl: string;
  services: ServiceBounds;
  targetPercent: number;
  intervalSeconds: number;
  stabilisationSeconds: number;
  cooldownSeconds: number;
  /** If the leader stops, another autoscaler becomes leader after this time at the latest. */
  leaderSeconds: number;
  dryRun: boolean;
}

/**
 * Reads the settings of the role autoscaler: the database and the scale driver, and none of the control plane's keys. Throws one
 * ConfigError that lists every fault.
 */
export function loadAutoscalerConfig(source: NodeJS.ProcessEnv): Readonly<AutoscalerConfig> {
  const env = createEnvReader(source);
  const config = readAutoscaler(env);
  env.finish();
  return Object.freeze(config);
}

const roles = ['autoscaler'] as const;

export function readAutoscaler(env: EnvReader): AutoscalerConfig {
  const constants = readConstants(env);
  return {
    logLevel: readLogLevel(env),
    database: readDatabase(env),
    ops: readOps(env),
    driverUrl: env.url('ORION_SCALE_DRIVER_URL', { roles, doc: 'The scale driver, such as `http://scale-driver:9466`.' }),
    services: readServiceBounds(env),
    targetPercent: env.integer('ORION_SCALE_TARGET_PERCENT', {
      default: 60,
      min: 1,
      max: 100,
      unit: '%',
      roles,
      doc: 'CPU of a replica that is aimed at, of its limit or of one core ([how](adr/0012-autoscaling.md)).',
    }),
    intervalSeconds: constants.scaleIntervalSeconds,
    stabilisationSeconds: constants.scaleStabilisationSeconds,
    cooldownSeconds: constants.scaleCooldownSeconds,
    leaderSeconds: constants.scaleLeaderSeconds,
    dryRun: env.boolean('ORION_SCALE_DRY_RUN', { default: false, roles, doc: 'Log decisions, change nothing.' }),
  };
}
