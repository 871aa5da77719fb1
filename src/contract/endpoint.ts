import type { z } from 'zod';
import type { EventType } from '../lib/event-types';

/**
 * The callers that an endpoint accepts. `session`: a user, also one who must change the password before anything else. `node`: an agent
 * with its node's credential. `machine`: an agent, with the credential or before it has one.
 */
export type Access = 'public' | 'session' | 'user' | 'admin' | 'node' | 'machine';

/**
 * What a call leaves in the audit log. `reads`: it changes nothing. Otherwise the types of its own events: each change leaves one event. A
 * call that finds everything as it should be leaves none. Other events may follow from the change.
 */
type Audit = 'reads' | readonly [EventType, ...EventType[]];

interface AnswerSpec {
  description: string;
  /** Schema of the JSON body. Undefined: no body. */
  schema?: z.ZodType;
}

/** The declaration of one call of the API. It validates the requests, gives the types of the answers, and documents both. */
export interface Endpoint {
  method: 'get' | 'post' | 'patch' | 'delete';
  /** In the notation of OpenAPI: `/api/leases/{id}`. */
  path: string;
  summary: string;
  access: Access;
  audit: Audit;
  body?: z.ZodType;
  query?: z.ZodType;
  params?: z.ZodType;
  /** Successful answers by HTTP status. */
  answers: Readonly<Record<number, AnswerSpec>>;
  /** HTTP statuses of the problems that the documentation lists for this call. */
  problems?: readonly number[];
  /**
   * True: calls are so frequent that the fast path also serves them (src/http/fast-path.ts). Only for a POST without parameters in its path
   * and without rate limits.
   */
  fast?: true;
}

/** Declares an endpoint and keeps its exact type. */
export const endpoint = <const E extends Endpoint>(declared: E): E => declared;

type Output<T> = T extends z.ZodType ? z.output<T> : undefined;

/** The value that the server reads from a valid request, with defaults filled in. */
export type BodyOf<E extends Endpoint> = Output<E['body']>;
export type QueryOf<E extends Endpoint> = Output<E['query']>;
export type ParamsOf<E extends Endpoint> = Output<E['params']>;

/** A successful answer: its status, and the body for that status. */
export type AnswerOf<E extends Endpoint> = {
  [S in keyof E['answers'] & number]: E['answers'][S] extends { schema: infer T extends z.ZodType }
    ? { status: S; body: z.output<T> }
    : { status: S; body?: undefined };
}[keyof E['answers'] & number];
