import type { Knex } from 'knex';
import type { Connection } from 'mysql2';

/**
 * A transaction handle: the one connection that it runs on. Claims demand it by type: outside a transaction SKIP LOCKED protects nothing.
 * Made by `transaction` alone.
 */
export class Tx {
  #connection: Connection | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Throws when the transaction is over: what runs on would belong to whoever has the connection next. */
  get connection(): Connection {
    if (!this.#connection) {
      throw new Error('the transaction is over');
    }
    return this.#connection;
  }

  end(): void {
    this.#connection = undefined;
  }
}

/** For reads and single statements: a pool or a transaction. */
export type Db = Knex | Tx;

export type Bindings = readonly Knex.RawBinding[];

/**
 * Sends one statement and gives what the driver answers. Knex holds the pool; the statement goes straight to the driver: Knex's builder took
 * about a third of the processor time of a claim. Throws what the driver throws.
 */
export async function send(db: Db, sql: string, bindings: Bindings = []): Promise<unknown> {
  if (db instanceof Tx) {
    return sendOn(db.connection, sql, bindings);
  }
  const connection = await acquire(db);
  try {
    return await sendOn(connection, sql, bindings);
  } finally {
    release(db, connection);
  }
}

export function sendOn(connection: Connection, sql: string, bindings: Bindings = []): Promise<unknown> {
  return new Promise((resolve, reject) => {
    connection.query(sql, bindings as unknown[], (error, result) => {
      if (error) {
        // A rejection by plain value: the driver's error knows its statement (`sql`), its code, and whether the connection is done for.
        reject(error);
      } else {
        resolve(result);
      }
    });
  });
}

export const acquire = (db: Knex): Promise<Connection> => (db.client as Pool).acquireConnection();

export function release(db: Knex, connection: Connection): void {
  void (db.client as Pool).releaseConnection(connection);
}

/** The part of Knex's client that is its pool. A connection that has ended is dropped when it is asked for next. */
interface Pool {
  acquireConnection(): Promise<Connection>;
  releaseConnection(connection: Connection): Promise<void>;
}
