import type { LogLevel } from '../lib/logger';
import { type CheckpointConfig, readCheckpoints } from './checkpoints';
import { readConstants } from './constants';
import { readDatabase, type DatabaseConfig } from './database';
import { createEnvReader, type EnvReader } from './env';
import { type GatewayConfig, readGateway } from './gateway';
import { type HttpConfig, readHttp } from './http';
import { type ApiKeys, readApiKeys, readAuditKey, readControlKey, readSsh, type SshConfig } from './keys';
import { type LeasingConfig, readLeasing } from './leasing';
import { readLogLevel } from './log-level';
import { readWork, type WorkConfig } from './work';

export interface ControlPlaneConfig extends HttpConfig, LeasingConfig, WorkConfig {
  logLevel: LogLevel;
  database: DatabaseConfig;
  gateway: GatewayConfig;
  /** Null in a process that is not an API. */
  apiKeys: ApiKeys | null;
  /** Undefined: nothing is sealed, or the process is no scheduler. */
  auditKey: string | undefined;
  /** Null in a process that does not log in to nodes as the management account. */
  ssh: SshConfig | null;
  /** Null: home backups are off. */
  checkpoints: CheckpointConfig | null;
}

/**
 * Reads the settings of the roles api, scheduler and gateway. It reads and requires only the keys that `roles` need. Throws one ConfigError
 * that lists every fault.
 */
export function loadControlPlaneConfig(source: NodeJS.ProcessEnv, roles: readonly string[]): Readonly<ControlPlaneConfig> {
  const env = createEnvReader(source);
  const config = readControlPlane(env, roles);
  env.finish();
  return Object.freeze(config);
}

export function readControlPlane(env: EnvReader, roles: readonly string[]): ControlPlaneConfig {
  const isApi = roles.includes('api');
  const constants = readConstants(env);
  return {
    logLevel: readLogLevel(env),
    database: readDatabase(env),
    ...readHttp(env, constants.loginsPerName),
    gateway: readGateway(env, roles),
    apiKeys: isApi ? readApiKeys(env, constants.tokenSeconds) : null,
    auditKey: roles.includes('scheduler') ? readAuditKey(env) : undefined,
    ssh: isApi || roles.includes('scheduler') ? readSsh(env, constants.managementUser) : null,
    ...readLeasing(env, constants),
    ...readWork(env, constants),
    checkpoints: readCheckpoints(env),
  };
}

/** Reads the private control key, for a command that needs it. */
export function loadControlKey(source: NodeJS.ProcessEnv): string {
  const env = createEnvReader(source);
  const key = readControlKey(env);
  env.finish();
  return key;
}

/** Reads the settings of commands that need only the database. */
export function loadDatabaseConfig(source: NodeJS.ProcessEnv): DatabaseConfig {
  const env = createEnvReader(source);
  const database = readDatabase(env);
  env.finish();
  return database;
}
