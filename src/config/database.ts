import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { messageOf } from '../lib/errors';
import type { EnvReader } from './env';

export interface DatabaseConfig {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  poolSize: number;
  multiStatements: boolean;
  /** PEM of an authority. The server must show a certificate of this authority for its name. Undefined: the connection is not encrypted. */
  tlsCa: string | undefined;
}

/** Reads the settings of the connection to MariaDB. `ORION_DB_PASSWORD` or `ORION_DB_PASSWORD_FILE` is required. */
export function readDatabase(env: EnvReader): DatabaseConfig {
  const host = env.text('ORION_DB_HOST', { default: '127.0.0.1' });
  const tlsCa = readTlsCa(env);
  if (tlsCa !== undefined && isIP(host) !== 0) {
    env.fault('ORION_DB_HOST', `must be a name with ORION_DB_TLS_CA_FILE: the certificate is checked against it (it is ${JSON.stringify(host)})`);
  }
  return {
    host,
    port: env.integer('ORION_DB_PORT', { default: 3306, min: 1, max: 65535 }),
    user: env.text('ORION_DB_USER', { default: 'orion' }),
    password: env.text('ORION_DB_PASSWORD', { secret: true }),
    database: env.text('ORION_DB_NAME', { default: 'orion' }),
    poolSize: env.integer('ORION_DB_POOL', { default: 10, min: 2, max: 200 }),
    tlsCa,
    multiStatements: env.boolean('ORION_DB_MULTI_STATEMENTS', { default: true }),
  };
}

function readTlsCa(env: EnvReader): string | undefined {
  const file = env.optionalText('ORION_DB_TLS_CA_FILE');
  try {
    return file === undefined ? undefined : readFileSync(file, 'utf8');
  } catch (error) {
    env.fault('ORION_DB_TLS_CA_FILE', `cannot be read: ${messageOf(error)}`);
    return undefined;
  }
}
