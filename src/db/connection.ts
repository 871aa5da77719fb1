import knex, { type Knex } from 'knex';
import { prepareSession } from './session';

export interface DatabaseSettings {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  /** Connections at most; single-row claims are fastest with about 8. */
  poolSize: number;
  /** False: each statement of a batch is a round trip, for a proxy before the server that takes one statement at a time. */
  multiStatements?: boolean;
  /** PEM of the authority that the server's certificate has to be of; undefined: no TLS. */
  tlsCa?: string | undefined;
}

const CONNECT_TIMEOUT_MS = 5_000;
const ACQUIRE_TIMEOUT_MS = 10_000;

/** A pool of connections to MariaDB. Opens none by itself; `destroy()` closes it. */
export function createDatabase(settings: DatabaseSettings): Knex {
  const { poolSize, multiStatements = true, tlsCa, ...where } = settings;
  return knex({
    client: 'mysql2',
    connection: {
      ...where,
      ...(tlsCa === undefined ? {} : { ssl: { ca: tlsCa, rejectUnauthorized: true, verifyIdentity: true, minVersion: 'TLSv1.2' } }),
      timezone: 'Z',
      charset: 'utf8mb4',
      connectTimeout: CONNECT_TIMEOUT_MS,
      enableKeepAlive: true,
      // The statements of a batch travel as one text (see Transaction.batch); `send` takes one statement at a time, with its values bound.
      multipleStatements: multiStatements,
    },
    pool: { min: 0, max: poolSize, afterCreate: prepareSession },
    acquireConnectionTimeout: ACQUIRE_TIMEOUT_MS,
    // Knex would print what it also throws, on stdout, past the log.
    log: { warn: () => undefined, error: () => undefined, deprecate: () => undefined, debug: () => undefined },
  });
}
