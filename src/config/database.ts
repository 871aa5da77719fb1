import type { EnvReader } from './env';

export interface DatabaseConfig {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  poolSize: number;
  multiStatements: boolean;
}

/** Where MariaDB is. `ORION_DB_PASSWORD` or `ORION_DB_PASSWORD_FILE` is required. */
export function readDatabase(env: EnvReader): DatabaseConfig {
  return {
    host: env.text('ORION_DB_HOST', { default: '127.0.0.1' }),
    port: env.integer('ORION_DB_PORT', { default: 3306, min: 1, max: 65535 }),
    user: env.text('ORION_DB_USER', { default: 'orion' }),
    password: env.text('ORION_DB_PASSWORD', { secret: true }),
    database: env.text('ORION_DB_NAME', { default: 'orion' }),
    poolSize: env.integer('ORION_DB_POOL', { default: 10, min: 2, max: 200 }),
    multiStatements: env.boolean('ORION_DB_MULTI_STATEMENTS', { default: true }),
  };
}
