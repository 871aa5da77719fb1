/** The statements at the begin and the end of a transaction. */
export interface Frame {
  begin: string[];
  commit: string;
  /** Sent after COMMIT and after ROLLBACK. */
  restore: string[];
}

export const PLAIN: Frame = { begin: ['BEGIN'], commit: 'COMMIT', restore: [] };

/**
 * Frame for transactions on a Galera cluster. The cluster may abort a transaction at any moment, and its server does not always report
 * that. An aborted statement may answer OK, and so may the statements after it in the same text. They would run outside of any transaction,
 * each with its own commit, and COMMIT would answer OK.
 *
 * Without autocommit, these statements run in a transaction that is never committed. The savepoint belongs to the first transaction. When
 * that transaction is aborted, RELEASE SAVEPOINT fails, and COMMIT does not run. Both are one compound statement, which an abort ends as a
 * whole.
 */
export const GUARDED: Frame = {
  begin: ['SET autocommit = 0', 'BEGIN', 'SAVEPOINT orion'],
  commit: 'BEGIN NOT ATOMIC RELEASE SAVEPOINT orion; COMMIT; END',
  restore: ['SET autocommit = 1'],
};

/**
 * Error code when RELEASE SAVEPOINT does not find the savepoint: the transaction was aborted. (Stored programs have the same code; Orion
 * has none.)
 */
export const ABORTED_CODE = 'ER_SP_DOES_NOT_EXIST';
