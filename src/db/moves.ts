/** One allowed change of a row's state. */
export interface Move<State extends string = string> {
  /** Empty: the move creates the row. */
  from: readonly State[];
  /** Null: the move deletes the row. */
  to: State | null;
  /** Cause of the move, as docs/states.md shows it. */
  cause: string;
}

/** All moves of one table, by name. */
export type Moves<State extends string = string> = Readonly<Record<string, Move<State>>>;

/** Names of the moves from one state to another: an UPDATE can make no others. */
type Between<M extends Moves> = {
  [Name in keyof M]: M[Name] extends { from: readonly [string, ...string[]]; to: string } ? Name : never;
}[keyof M];
/** Names of the moves that delete a row. */
type Removing<M extends Moves> = { [Name in keyof M]: M[Name]['to'] extends null ? Name : never }[keyof M];

interface Update {
  /** SQL between the table and SET. */
  join?: string;
  /** SQL of the other assignments. They come before the new state, so they read the old one. */
  set: string;
  /** SQL that picks the rows. */
  where: string;
}

interface StateSql<M extends Moves> {
  /** The UPDATE that makes a move. Zero rows changed: `where` found nothing, or the row is in a state that the move does not start from. */
  update(name: Between<M>, parts: Update): string;
  /**
   * An assignment for a statement that also changes rows which do not move. Where the SQL `when` is false, the row keeps its state, too.
   */
  assign(name: Between<M>, when?: string): string;
  /** The DELETE that makes a move. */
  remove(name: Removing<M>, where: string): string;
}

/**
 * Builds the SQL that changes the state column of a table. Each text names the states that its move starts from. So no statement can make
 * a move that `moves` does not list. Build the texts once, when the module is loaded.
 */
export function stateSql<M extends Moves>({ table, column, moves }: { table: string; column: string; moves: M }): StateSql<M> {
  const state = `${table}.${column}`;
  const moveOf = (name: keyof M): Move => moves[name] as Move;
  const target = (name: keyof M): string => `'${String(moveOf(name).to)}'`;
  const isAllowed = (name: keyof M): string =>
    `${state} IN (${moveOf(name)
      .from.map((from) => `'${from}'`)
      .join(',')})`;
  return {
    update: (name, { join, set, where }) =>
      `UPDATE ${table}${join === undefined ? '' : ` ${join}`} SET ${set}, ${state} = ${target(name)} WHERE ${where} AND ${isAllowed(name)}`,
    assign: (name, when = 'TRUE') => `${state} = IF(${when} AND ${isAllowed(name)}, ${target(name)}, ${state})`,
    remove: (name, where) => `DELETE FROM ${table} WHERE ${where} AND ${isAllowed(name)}`,
  };
}
