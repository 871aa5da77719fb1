/** A change of one file's text. It has to be found exactly once, so that the list cannot rot. */
export interface Edit {
  /** From the project's root. */
  file: string;
  find: string;
  replace: string;
}

/** A mistake made in a copy of the product, and what has to notice it. */
interface MutationBase {
  /** kebab-case. */
  name: string;
  /** What the product does wrong with it: one line. */
  what: string;
  /** The invariant or requirement that is broken by it, as violations name it. */
  breaks: string;
  /**
   * Words of the violation that is meant: several guards have to be taken out before some mistakes do harm, and their absence is noticed
   * too.
   */
  shows: string | RegExp;
  edits: Edit[];
}

/** `scenario`: a chaos run has to notice the mutation; as `npm run chaos -- --only` takes it. `test`: a test file has to fail. */
export type Mutation = MutationBase & ({ scenario: string; test?: undefined } | { test: string; scenario?: undefined });

/** Takes a UNIQUE key out of the schema: what it would refuse is then for the program alone to prevent. */
export const withoutUnique = (key: string): Edit => ({
  file: 'migrations/0001_initial.mjs',
  find: `UNIQUE KEY ${key} `,
  replace: `KEY ${key} `,
});
