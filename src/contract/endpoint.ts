import type { z } from 'zod';
import type { EventType } from '../lib/event-types';

/** Who may call. `node`: an agent with its node's credential. `machine`: an agent, with the credential or before it has one. */
export type Access = 'public' | 'user' | 'admin' | 'node' | 'machine';

/**
 * What a call leaves in the audit log. `reads`: it changes nothing. Otherwise the types of its own events: each change leaves one event. A
 * call that finds everything as it should be leaves none. Other events may follow from the change.
 */
type Audit = 'reads' | readonly [EventType, ...EventType[]];

interface AnswerSpec {
  description: string;
  /** Of the JSON body. Undefined: there is none. */
  schema?: z.ZodType;
}

/** One call of the API, declared once: this validates its requests, gives the types of its answers, and documents both. */
export interface Endpoint {
  method: 'get' | 'post' | 'patch' | 'delete';
  /** As OpenAPI writes it: `/api/leases/{id}`. */
  path: string;
  summary: string;
  access: Access;
  audit: Audit;
  body?: z.ZodType;
  query?: z.ZodType;
  params?: z.ZodType;
  /** Successful answers by HTTP status. */
  answers: Readonly<Record<number, AnswerSpec>>;
  /** HTTP statuses of the problems worth documenting here. */
  problems?: readonly number[];
  /** Called so often that it is also served before Express (src/http/fast-path.ts). A POST without parameters in its path, and without rate limits. */
  fast?: true;
}

/** Keeps the exact type of what is declared. */
export const endpoint = <const E extends Endpoint>(declared: E): E => declared;

type Output<T> = T extends z.ZodType ? z.output<T> : undefined;

/** What the server reads from a valid request, with defaults filled in. */
export type BodyOf<E extends Endpoint> = Output<E['body']>;
export type QueryOf<E extends Endpoint> = Output<E['query']>;
export type ParamsOf<E extends Endpoint> = Output<E['params']>;

/** One of the successful answers: its status, and the body that belongs to that status. */
export type AnswerOf<E extends Endpoint> = {
  [S in keyof E['answers'] & number]: E['answers'][S] extends { schema: infer T extends z.ZodType } ? { status: S; body: z.output<T> } : { status: S; body?: undefined };
}[keyof E['answers'] & number];
