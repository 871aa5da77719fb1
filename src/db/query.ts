import type { Knex } from 'knex';
import type { Connection, raw } from 'mysql2';
import { type Frame, GUARDED, PLAIN } from './guard';
import { isClustered } from './session';

/** A statement, before its values are bound. */
interface Statement {
  sql: string;
  bindings: Bindings;
}

/**
 * The handle that sends the statements of a transaction: the transaction itself, or a batch of it. Claims require this type, because SKIP
 * LOCKED protects nothing outside a transaction.
 */
export abstract class Tx {
  /**
   * True: the server belongs to a cluster, and does not see the row locks of the other servers. So a decision that depends on a row must
   * write that row.
   */
  abstract readonly isClustered: boolean;

  abstract send(sql: string, bindings: Bindings): Promise<unknown>;
}

/** A statement that waits for its batch to be sent, and the promise that its caller awaits. */
interface Held extends Statement {
  resolve: (answer: unknown) => void;
  reject: (error: unknown) => void;
}

/** Holds the statements of one round trip, in their order. Only `Transaction.batch` makes batches. */
export class Batch extends Tx {
  readonly isClustered: boolean;
  #held: Held[] | undefined = [];

  constructor({ isClustered }: Tx) {
    super();
    this.isClustered = isClustered;
  }

  /** Holds a statement until the batch is sent. Rejects when any statement of the batch fails, and when the batch was sent already. */
  async send(sql: string, bindings: Bindings): Promise<unknown> {
    const held = this.#held;
    if (!held) {
      throw new Error('the batch was sent: a statement that needs its answers comes after it, in the transaction');
    }
    return new Promise((resolve, reject) => held.push({ sql, bindings, resolve, reject }));
  }

  /** Returns the statements that the batch holds; it takes no more. */
  close(): Held[] {
    const held = this.#held ?? [];
    this.#held = undefined;
    return held;
  }
}

/** A transaction on its one connection. Only `transaction` creates it. BEGIN is sent with the first statement or batch. */
export class Transaction extends Tx {
  #connection: Connection | undefined;
  #isBegun = false;
  #isSending = false;
  #isCommitting = false;
  #isCommitted = false;
  /** The error of the batch that failed. */
  #failure: Error | undefined;
  readonly #frame: Frame;

  constructor(connection: Connection) {
    super();
    this.#connection = connection;
    this.#frame = frameOf(connection);
  }

  /**
   * Sends one statement in its own round trip. Rejects while another statement runs. Otherwise the second statement would run although the
   * first failed, and outside of the transaction if the server rolled back.
   */
  async send(sql: string, bindings: Bindings): Promise<unknown> {
    const [answer] = await this.#sendTogether([{ sql, bindings }]);
    return answer;
  }

  /**
   * Sends several statements in one round trip: those that `work` sends through the batch before it returns its promise, in that order.
   * The server stops at the first statement that fails. Then all statements of the batch are rejected with its error, and so is all that
   * the transaction sends later. The server may have rolled back, and would run these statements outside of the transaction.
   *
   * With `commit`, COMMIT is the last. If `work` fails before it waits for an answer, nothing is sent: the statements that it did send
   * would be committed without the ones that it did not.
   *
   * On a connection that takes one statement per round trip, the statements are sent one after the other, up to the first that fails.
   */
  async batch<T>(work: (batch: Batch) => Promise<T>, { commit = false }: { commit?: boolean } = {}): Promise<T> {
    const batch = new Batch(this);
    const result = work(batch);
    const sent = this.#sendHeld(batch.close(), commit, commit ? failureBeforeAnswers(result) : undefined);
    await Promise.allSettled([result, sent]);
    await sent;
    return result;
  }

  /** Sends COMMIT, unless a batch sent it or nothing was sent. `transaction` calls this at the end of its work. */
  async commit(): Promise<void> {
    if (this.#isBegun && !this.#isCommitted) {
      await this.#sendHeld([], true);
    }
  }

  /** Sends nothing from now on, because the connection goes to the next transaction. */
  end(): void {
    this.#connection = undefined;
  }

  get isClustered(): boolean {
    return this.#frame === GUARDED;
  }

  /** True: COMMIT was sent. If the connection is lost from now on, the outcome is unknown. */
  get isCommitting(): boolean {
    return this.#isCommitting;
  }

  /** True: COMMIT was answered. Whatever fails from now on, the transaction is in the database. */
  get isCommitted(): boolean {
    return this.#isCommitted;
  }

  async #sendHeld(held: Held[], commit: boolean, failure?: Promise<void>): Promise<void> {
    if (held.length === 0 && !commit) {
      return;
    }
    try {
      if (failure) {
        await failure;
      }
      const answers = await this.#sendTogether(held, commit);
      held.forEach(({ resolve }, at) => resolve(answers[at]));
    } catch (error) {
      this.#failure ??= error as Error;
      held.forEach(({ reject }) => reject(error));
      throw error;
    }
  }

  async #sendTogether(statements: readonly Statement[], commit = false): Promise<unknown[]> {
    const connection = this.#ready();
    const begin = this.#isBegun ? [] : this.#frame.begin;
    const end = commit ? [this.#frame.commit, ...this.#frame.restore] : [];
    const texts = [...begin, ...statements.map(({ sql, bindings }) => connection.format(sql, bindings as unknown[])), ...end];
    this.#isBegun = true;
    this.#isCommitting = commit;
    this.#isSending = true;
    try {
      const answers = await (connection.config.multipleStatements ? sendAsOne(connection, texts) : this.#sendOneByOne(texts));
      this.#isCommitted = commit;
      return answers.slice(begin.length);
    } finally {
      this.#isSending = false;
    }
  }

  async #sendOneByOne(texts: string[]): Promise<unknown[]> {
    const answers: unknown[] = [];
    for (const text of texts) {
      answers.push(await sendOn(this.#open(), text));
    }
    return answers;
  }

  #ready(): Connection {
    if (this.#failure) {
      throw this.#failure;
    }
    if (this.#isCommitting) {
      throw new Error(OVER);
    }
    if (this.#isSending) {
      throw new Error('a statement of this transaction is under way: await it first, or send both in a batch');
    }
    return this.#open();
  }

  #open(): Connection {
    if (!this.#connection) {
      throw new Error(OVER);
    }
    return this.#connection;
  }
}

const OVER = 'the transaction is over';

/** Rejects if `work` fails before it waits for an answer. A turn of the event loop is enough for all that needs no answer. */
async function failureBeforeAnswers(work: Promise<unknown>): Promise<void> {
  const turn = new Promise((resolve) => setImmediate(resolve));
  await Promise.race([work, turn]);
}

export const frameOf = (connection: Connection): Frame => (isClustered(connection) ? GUARDED : PLAIN);

/** A pool, a transaction or a batch. For reads and single statements. */
export type Db = Knex | Tx;

/** SQL in place of a value that only the server knows when the statement is sent. */
export type Later = ReturnType<typeof raw>;

export type Bindings = readonly (Knex.RawBinding | Later)[];

/**
 * Sends one statement and returns the driver's answer. Knex holds the pool, but the statement goes directly to the driver: Knex's builder
 * took about a third of the processor time of a claim. Throws what the driver throws.
 */
export async function send(db: Db, sql: string, bindings: Bindings = []): Promise<unknown> {
  if (sql.includes(';')) {
    // The server would accept several statements. This check keeps injected text from adding one. Values are bound, so they may contain any
    // text.
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

async function sendAsOne(connection: Connection, texts: string[]): Promise<unknown[]> {
  const answer = await sendOn(connection, texts.join(';\n'));
  return texts.length === 1 ? [answer] : (answer as unknown[]);
}

/** Sends a text unchanged. */
export function sendOn(connection: Connection, sql: string, bindings: Bindings = []): Promise<unknown> {
  return new Promise((resolve, reject) => {
    connection.query(sql, bindings as unknown[], (error, result) => {
      if (error) {
        // The driver's error is passed on unchanged. It contains the statement (`sql`), the code, and whether the connection is still
        // usable.
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

/** The pool part of Knex's client. The pool drops an ended connection when that connection is requested next. */
interface Pool {
  acquireConnection(): Promise<Connection>;
  releaseConnection(connection: Connection): Promise<void>;
}
