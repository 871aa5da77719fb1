/** The statements around those of a transaction. */
export interface Frame {
  begin: string[];
  commit: string;
  /** Sent after COMMIT and after ROLLBACK. */
  restore: string[];
}

export const PLAIN: Frame = { begin: ['BEGIN'], commit: 'COMMIT', restore: [] };

/**
 * A Galera cluster may abort a transaction at any moment, and its server does not always report that: a statement that is broken off may answer OK, and so
 * may those behind it in the same text. They would run outside of any transaction, each kept by itself, and COMMIT would answer OK for the rest.
 *
 * Without autocommit they run in a transaction that nobody commits. The savepoint belongs to the transaction that was begun: when that is gone, RELEASE SAVEPOINT
 * fails, and COMMIT is not reached. Both are one compound statement, which an abort ends as a whole.
 */
export const GUARDED: Frame = {
  begin: ['SET autocommit = 0', 'BEGIN', 'SAVEPOINT orion'],
  commit: 'BEGIN NOT ATOMIC RELEASE SAVEPOINT orion; COMMIT; END',
  restore: ['SET autocommit = 1'],
};

/** RELEASE SAVEPOINT did not find the savepoint: the transaction was aborted. (Orion has no stored programs, which share this code.) */
export const ABORTED_CODE = 'ER_SP_DOES_NOT_EXIST';
