import type { z } from 'zod';
import type { Endpoint, Problem } from '../contract';
import type { ENDPOINTS } from '../contract/endpoints';

type Call = (typeof ENDPOINTS)[number];

type Json<T> = { content: { 'application/json': T } };

/** Members of a path or query. A caller may write a number as a string. */
type Given<T> = { [K in keyof T]: T[K] extends number | undefined ? number | string : T[K] };

type Operation<E extends Endpoint> = {
  parameters: (E extends { params: infer P extends z.ZodType } ? { path: Given<z.output<P>> } : { path?: never }) & {
    query?: E extends { query: infer Q extends z.ZodType } ? Partial<Given<z.output<Q>>> : never;
  };
  responses: {
    [S in keyof E['answers'] & number]: E['answers'][S] extends { schema: infer T extends z.ZodType }
      ? Json<z.output<T>>
      : { content?: never };
  } & {
    default: { content: { 'application/problem+json': Problem } };
  };
} & (E extends { body: infer B extends z.ZodType } ? { requestBody: Json<z.input<B>> } : { requestBody?: never });

/** The contract in the form that openapi-typescript generates. */
export type Paths = {
  [P in Call['path']]: { [M in Extract<Call, { path: P }>['method']]: Operation<Extract<Call, { path: P; method: M }>> };
};
