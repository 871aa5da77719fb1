import type { LogLevel } from '../lib/logger';
import { type DatabaseConfig, readDatabase } from './database';
import { createEnvReader } from './env';
import { readServiceBounds, type ServiceBounds } from './scale-bounds';
import { readSeconds } from './seconds';

export interface AutoscalerConfig {
  logLevel: LogLevel;
  database: DatabaseConfig;
  ops: { host: string; port: number };
  /** URL of the scale driver. */
  driverUrl: string;
  services: ServiceBounds;
  targetPercent: number;
  tolerancePercent: number;
  lagSeconds: number;
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
  const config: AutoscalerConfig = {
    logLevel: env.choice<LogLevel>('LOG_LEVEL', ['debug', 'info', 'warn', 'error', 'silent'], { default: 'info' }),
    database: readDatabase(env),
    ops: { host: env.text('ORION_OPS_HOST', { default: '0.0.0.0' }), port: env.integer('ORION_OPS_PORT', { default: 9464, min: 0, max: 65535 }) },
    driverUrl: env.url('ORION_SCALE_DRIVER_URL'),
    services: readServiceBounds(env),
    targetPercent: env.integer('ORION_SCALE_TARGET_PERCENT', { default: 60, min: 1, max: 100 }),
    tolerancePercent: env.integer('ORION_SCALE_TOLERANCE_PERCENT', { default: 10, min: 1, max: 50 }),
    lagSeconds: readSeconds(env, 'ORION_SCALE_LAG_SECONDS', { default: 5 }),
    intervalSeconds: readSeconds(env, 'ORION_SCALE_INTERVAL_SECONDS', { default: 5, max: 300 }),
    stabilisationSeconds: readSeconds(env, 'ORION_SCALE_STABILISATION_SECONDS', { default: 60 }),
    cooldownSeconds: readSeconds(env, 'ORION_SCALE_COOLDOWN_SECONDS', { default: 15, min: 0 }),
    leaderSeconds: readSeconds(env, 'ORION_SCALE_LEADER_SECONDS', { default: 15, min: 1, max: 600 }),
    dryRun: env.boolean('ORION_SCALE_DRY_RUN', { default: false }),
  };
  env.finish();
  return Object.freeze(config);
}
