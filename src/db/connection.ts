import knex, { type Knex } from 'knex';

export interface DatabaseSettings {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  /** Connections at most; single-row claims are fastest with about 8. */
  poolSize: number;
  /** False: nothing travels together (see Tx), for whatever stands before the server and takes one statement at a time. */
  multiStatements?: boolean;
}

const CONNECT_TIMEOUT_MS = 5_000;
const ACQUIRE_TIMEOUT_MS = 10_000;

/** A pool of connections to MariaDB. Opens none by itself; `destroy()` closes it. */
export function createDatabase(settings: DatabaseSettings): Knex {
  const { poolSize, multiStatements = true, ...where } = settings;
  return knex({
    client: 'mysql2',
    connection: {
      ...where,
      timezone: 'Z',
      charset: 'utf8mb4',
      connectTimeout: CONNECT_TIMEOUT_MS,
      enableKeepAlive: true,
      // What a transaction asks for at once travels as one text (see Tx); `send` takes one statement at a time, with its values bound.
      multipleStatements: multiStatements,
    },
    pool: { min: 0, max: poolSize, afterCreate: setSession },
    acquireConnectionTimeout: ACQUIRE_TIMEOUT_MS,
    // Knex would print what it also throws, on stdout, past the log.
    log: { warn: () => undefined, error: () => undefined, deprecate: () => undefined, debug: () => undefined },
  });
}

type Callback = (error: Error | null, connection: unknown) => void;

/**
 * How long a transaction may say nothing. One whose process is frozen, or whose machine is gone without a word, would keep its rows for as long, or for
 * hours: the others pass over them, and nobody wipes that node or ends that lease. Within a transaction there is nothing to wait for but the database.
 */
const IDLE_TRANSACTION_SECONDS = 15;

/** READ COMMITTED everywhere: at REPEATABLE READ a second claimer waits on gap locks although it asked to skip them. */
function setSession(connection: { query: (sql: string, done: (error: Error | null) => void) => void }, done: Callback): void {
  connection.query(
    `SET SESSION tx_isolation = 'READ-COMMITTED', time_zone = '+00:00', innodb_lock_wait_timeout = 5, idle_transaction_timeout = ${IDLE_TRANSACTION_SECONDS},
       sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO'`,
    (error) => done(error, connection),
  );
}
