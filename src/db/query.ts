import type { Knex } from 'knex';
import type { Connection, raw } from 'mysql2';
import { type Frame, GUARDED, PLAIN } from './guard';
import { isClustered } from './session';

/** A statement that was asked for, and whoever waits for its answer. */
interface Asked {
  sql: string;
  bindings: Bindings;
  resolve: (answer: unknown) => void;
  reject: (error: unknown) => void;
}

/**
 * A transaction handle: the one connection that it runs on. Claims demand it by type: outside a transaction SKIP LOCKED protects nothing.
 * Made by `transaction` alone.
 *
 * Statements that are asked for in the same turn (`Promise.all`) travel together, in their order: one round trip for all of them, with BEGIN before the
 * first. The server stops at the first that fails, and all of them are rejected with its error. (Where the connection takes one statement at a time,
 * they go one after the other, and the rest is the same.) What is asked for while a text is under way travels together after it; when that text fails
 * it is not sent, and rejected with the same error: the server may have rolled back, and would do it outside of any transaction.
 */
export class Tx {
  #connection: Connection | undefined;
  #begun = false;
  #asked: Asked[] = [];
  #isSending = false;
  #commit: Promise<unknown> | undefined;
  #isCommitted = false;
  readonly #frame: Frame;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#frame = frameOf(connection);
  }

  /** Throws when the transaction is over: what runs on would belong to whoever has the connection next. */
  send(sql: string, bindings: Bindings): Promise<unknown> {
    if (this.#commit) {
      return Promise.reject(new Error('the transaction is over'));
    }
    return this.#ask(sql, bindings);
  }

  /** COMMIT, in one round trip with what is asked for in the same turn; nothing can be asked for after it. `transaction` does it at the end of its work. */
  async commit(): Promise<void> {
    this.#commit ??= this.#begun || this.#asked.length > 0 ? this.#askCommit() : Promise.resolve();
    await this.#commit;
    this.#isCommitted = true;
  }

  /** Nothing is sent from here on: the connection is somebody else's. */
  end(): void {
    this.#connection = undefined;
  }

  /** On a server of a cluster, which does not see the row locks of the other servers: what rests on a row has to write it. */
  get isClustered(): boolean {
    return this.#frame === GUARDED;
  }

  /** COMMIT was asked for: when the connection is lost from here on, nobody knows. */
  get isCommitting(): boolean {
    return this.#commit !== undefined;
  }

  /** COMMIT was answered: whatever fails from here on, it is done. */
  get isCommitted(): boolean {
    return this.#isCommitted;
  }

  #askCommit(): Promise<unknown> {
    return Promise.all([this.#frame.commit, ...this.#frame.restore].map((sql) => this.#ask(sql, [])));
  }

  #ask(sql: string, bindings: Bindings): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ sql, bindings, resolve, reject });
      this.#sendSoon();
    });
  }

  #sendSoon(): void {
    if (!this.#isSending && this.#asked.length > 0) {
      this.#isSending = true;
      queueMicrotask(() => void this.#sendAsked());
    }
  }

  async #sendAsked(): Promise<void> {
    const asked = this.#asked.splice(0);
    try {
      const answers = await this.#sendTogether(asked);
      asked.forEach(({ resolve }, at) => resolve(answers[at]));
    } catch (error) {
      [...asked, ...this.#asked.splice(0)].forEach(({ reject }) => reject(error));
    }
    this.#isSending = false;
    this.#sendSoon();
  }

  async #sendTogether(asked: Asked[]): Promise<unknown[]> {
    const connection = this.#open();
    const texts = asked.map(({ sql, bindings }) => connection.format(sql, bindings as unknown[]));
    if (!this.#begun) {
      this.#begun = true;
      texts.unshift(...this.#frame.begin);
    }
    const answers = connection.config.multipleStatements ? await this.#sendAsOne(texts) : await this.#sendOneByOne(texts);
    return answers.slice(-asked.length);
  }

  async #sendAsOne(texts: string[]): Promise<unknown[]> {
    const answer = await sendOn(this.#open(), texts.join(';\n'));
    return texts.length === 1 ? [answer] : (answer as unknown[]);
  }

  async #sendOneByOne(texts: string[]): Promise<unknown[]> {
    const answers: unknown[] = [];
    for (const text of texts) {
      answers.push(await sendOn(this.#open(), text));
    }
    return answers;
  }

  #open(): Connection {
    if (!this.#connection) {
      throw new Error('the transaction is over');
    }
    return this.#connection;
  }
}

export const frameOf = (connection: Connection): Frame => (isClustered(connection) ? GUARDED : PLAIN);

/** For reads and single statements: a pool or a transaction. */
export type Db = Knex | Tx;

/** What the server alone knows by now. */
export type Later = ReturnType<typeof raw>;

export type Bindings = readonly (Knex.RawBinding | Later)[];

/**
 * Sends one statement and gives what the driver answers. Knex holds the pool; the statement goes straight to the driver: Knex's builder took
 * about a third of the processor time of a claim. Throws what the driver throws.
 */
export async function send(db: Db, sql: string, bindings: Bindings = []): Promise<unknown> {
  if (sql.includes(';')) {
    // The server would take several: whatever got into a text that should not have, it stays one statement. Values are bound, and may say what they like.
    throw new Error('one statement at a time');
  }
  if (db instanceof Tx) {
    return db.send(sql, bindings);
  }
  const connection = await acquire(db);
  try {
    return await sendOn(connection, sql, bindings);
  } finally {
    release(db, connection);
  }
}

/** Sends a text as it is. */
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
