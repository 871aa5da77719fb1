import knex, { type Knex } from 'knex';
import { prepareSession } from './session';

export interface DatabaseSettings {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  /** Connections at most. Claims of single rows are fastest with about 8. */
  poolSize: number;
  /**
   * False: each statement of a batch is sent in a round trip of its own. Needed for a proxy before the server that accepts one statement at
   * a time.
   */
  multiStatements?: boolean;
  /** PEM of the authority that must have issued the server's certificate. Undefined: no TLS. */
  tlsCa?: string | undefined;
}

/** How busy a pool is: connections in use, and callers that wait for one. */
interface PoolUse {
  inUse: number;
  waiting: number;
}

const CONNECT_TIMEOUT_MS = 5_000;
const ACQUIRE_TIMEOUT_MS = 10_000;

/** Creates a pool of connections to MariaDB. It opens none at first; `destroy()` closes it. */
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
      // The statements of a batch are sent as one text (see Transaction.batch). `send` accepts one statement at a time, with its values
      // bound.
      multipleStatements: multiStatements,
    },
    pool: { min: 0, max: poolSize, afterCreate: prepareSession },
    acquireConnectionTimeout: ACQUIRE_TIMEOUT_MS,
    // Knex would also print on stdout what it throws, outside of the log.
    log: { warn: () => undefined, error: () => undefined, deprecate: () => undefined, debug: () => undefined },
  });
}

export function poolUse({ client }: Knex): PoolUse {
  const { pool } = client as { pool?: { numUsed(): number; numPendingAcquires(): number } };
  return { inUse: pool?.numUsed() ?? 0, waiting: pool?.numPendingAcquires() ?? 0 };
}
