import type { Problem, RegisterAnswer } from '../../src/contract';

/** What a test gets from the API. */
export interface Reply<T> {
  status: number;
  /** What was asked for, and the members of a problem when it is one. */
  body: T & Partial<Omit<Problem, 'status'>>;
  text: string;
  headers: Record<string, string>;
}

/** The answer to a registration. */
export type RegisteredJson = RegisterAnswer & {
  /** Put there by registerMachine: it is in no answer. */
  credential?: string;
};
