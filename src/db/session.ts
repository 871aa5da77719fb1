import type { Connection } from 'mysql2';

/**
 * Idle-in-transaction timeout. Without it, a process that is frozen, or whose machine is lost, keeps its row locks for hours. The others
 * skip those rows, so no process wipes that node or ends that lease. Within a transaction, a process waits for nothing but the database.
 */
const IDLE_TRANSACTION_SECONDS = 15;

type Callback = (error: Error | null, connection: unknown) => void;

const clustered = new WeakSet<Connection>();

/** Returns true for a connection to a server of a Galera cluster. Its transactions are guarded (see guard.ts). */
export const isClustered = (connection: Connection): boolean => clustered.has(connection);

/**
 * Prepares a new connection for its pool. All transactions are READ COMMITTED: at REPEATABLE READ, a second claimer waits on gap locks
 * although it requested to skip them.
 */
export function prepareSession(connection: Connection, done: Callback): void {
  connection.query(
    `SET SESSION tx_isolation = 'READ-COMMITTED', time_zone = '+00:00', innodb_lock_wait_timeout = 5, idle_transaction_timeout = ${IDLE_TRANSACTION_SECONDS},
       sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO'`,
    (error) => (error ? done(error, connection) : findCluster(connection, done)),
  );
}

function findCluster(connection: Connection, done: Callback): void {
  // Unlike @@wsrep_on, this is no error on a server that was built without clusters.
  connection.query("SHOW VARIABLES LIKE 'wsrep_on'", (error, rows) => {
    const [found] = (error ? [] : rows) as { Value: string }[];
    if (found?.Value === 'ON') {
      clustered.add(connection);
    }
    done(error, connection);
  });
}
