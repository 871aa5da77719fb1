import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { messageOf } from '../lib/errors';
import type { EnvReader } from './env';
import { DATABASE_ROLES } from './setting';

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

const roles = DATABASE_ROLES;

/** Reads the settings of the connection to MariaDB. `ORION_DB_PASSWORD` or `ORION_DB_PASSWORD_FILE` is required. */
export function readDatabase(env: EnvReader): DatabaseConfig {
  const host = env.text('ORION_DB_HOST', { default: '127.0.0.1', roles, doc: 'Name or address of MariaDB (10.6 or newer).' });
  const tlsCa = readTlsCa(env);
  if (tlsCa !== undefined && isIP(host) !== 0) {
    env.fault(
      'ORION_DB_HOST',
      `must be a name with ORION_DB_TLS_CA_FILE: the certificate is checked against it (it is ${JSON.stringify(host)})`,
    );
  }
  return {
    host,
    port: env.integer('ORION_DB_PORT', { default: 3306, min: 1, max: 65535, unit: 'port', roles, doc: 'Port of MariaDB.' }),
    user: env.text('ORION_DB_USER', {
      default: 'orion',
      roles,
      doc: 'User of the database. Each role may have its own ([how](operations.md#users-of-the-database)).',
    }),
    password: env.text('ORION_DB_PASSWORD', { secret: true, roles, doc: 'Password of that user.' }),
    database: env.text('ORION_DB_NAME', { default: 'orion', roles, doc: 'Name of the database.' }),
    poolSize: env.integer('ORION_DB_POOL', {
      default: 10,
      min: 2,
      max: 200,
      unit: 'connections',
      roles,
      doc: 'Connections for work. Each process has 4 more for reads, and an API as many again for agents.',
    }),
    tlsCa,
    multiStatements: env.boolean('ORION_DB_MULTI_STATEMENTS', {
      default: true,
      roles,
      doc:
        'Statements of one turn travel together ([how](adr/0022-statements-travel-together.md)). ' +
        '`false`: one statement at a time, for a proxy in front of MariaDB that takes no more.',
    }),
  };
}

function readTlsCa(env: EnvReader): string | undefined {
  const file = env.optionalText('ORION_DB_TLS_CA_FILE', {
    roles,
    doc:
      "PEM file of the authority of MariaDB's certificate: connections are encrypted, " +
      'and the certificate is checked against `ORION_DB_HOST`, which has to be a name. ' +
      'Without it connections are not encrypted: for a socket or loopback.',
  });
  try {
    return file === undefined ? undefined : readFileSync(file, 'utf8');
  } catch (error) {
    env.fault('ORION_DB_TLS_CA_FILE', `cannot be read: ${messageOf(error)}`);
    return undefined;
  }
}
