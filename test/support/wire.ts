import type { Problem, RegisterAnswer } from '../../src/contract';

/** An answer of the API. */
export interface Reply<T> {
  status: number;
  /** The requested data; or, for an error, the members of a problem document. */
  body: T & Partial<Omit<Problem, 'status'>>;
  text: string;
  headers: Record<string, string>;
}

/** The answer to a registration. */
export type RegisteredJson = RegisterAnswer & {
  /** Added by registerMachine; no answer contains it. */
  credential?: string;
};
