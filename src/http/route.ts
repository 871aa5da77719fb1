import type { OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler, Response, Router } from 'express';
import type { z } from 'zod';
import { type AnswerOf, type BodyOf, type CallAccess, type Endpoint, type ParamsOf, problem, type QueryOf } from '../contract';
import { MAC_HEADER, type Seal } from '../lib/call-mac';
import { OrionError } from '../lib/errors';
import type { Principal } from '../modules/accounts';
import type { Authenticator } from './auth';

interface RouteInput<E extends Endpoint> {
  body: BodyOf<E>;
  query: QueryOf<E>;
  params: ParamsOf<E>;
  req: Request;
  res: Response;
}

interface Extras {
  headers?: Record<string, string>;
  /** Authenticates the answer to the agent that made the call. */
  seal?: Seal | undefined;
}

/** An answer as it is sent. */
export interface Answer extends Extras {
  status: number;
  body?: object | undefined;
}

/** An answer that the endpoint declares. */
export type Answered<E extends Endpoint> = AnswerOf<E> & Extras;

/** Of a call that a node made by HMAC. */
const sealOf = (res: Response): Seal | undefined => res.locals.seal as Seal | undefined;

/** Adds routes to an Express router and to the OpenAPI document at once. */
export interface RouteMaker {
  /** `guards` run after authentication and before validation: rate limits. In two steps, because only so the compiler knows the endpoint when it looks at what answers it. */
  on<E extends Endpoint>(endpoint: E, ...guards: RequestHandler[]): { answer: (handle: (input: RouteInput<E>) => Promise<Answered<E>>) => void };
}

/** The principal of an authenticated request. */
export const principalOf = (res: Response): Principal => res.locals.principal as Principal;

export function createRouteMaker({ router, registry, auth }: { router: Router; registry: OpenAPIRegistry; auth: Authenticator }): RouteMaker {
  const guardsFor: Record<CallAccess, RequestHandler[]> = { public: [], user: [auth.user], admin: [auth.admin], node: [auth.node] };
  return {
    on: (endpoint, ...guards) => ({
      answer: (handle) => {
        document(registry, endpoint);
        const run: RequestHandler = async (req, res) => {
          const body = parse(endpoint.body, req.body, 'body');
          const query = parse(endpoint.query, req.query, 'query');
          const params = parse(endpoint.params, req.params, 'path');
          send(res, (await handle({ body, query, params, req, res } as never)) as Answer);
        };
        router[endpoint.method](endpoint.path.replace(/\{(\w+)\}/g, ':$1'), ...guardsFor[endpoint.access], ...guards, requireJson(endpoint.body !== undefined), run);
      },
    }),
  };
}

function send(res: Response, { status, body, headers, seal = sealOf(res) }: Answer): void {
  if (res.headersSent) {
    return;
  }
  res.status(status).set(headers ?? {});
  if (body === undefined) {
    res.end();
  } else if (seal) {
    const text = JSON.stringify(body);
    res.set(MAC_HEADER, seal(status, text)).type('json').send(text);
  } else {
    res.json(body);
  }
}

/** Refuses a body that is there and no JSON. */
export const requireJson =
  (needed: boolean): RequestHandler =>
  (req, _res, next) => {
    const hasBody = (req.headers['content-length'] ?? '0') !== '0' || req.headers['transfer-encoding'] !== undefined;
    if (needed && hasBody && !req.is('application/json')) {
      throw new OrionError('unsupported_media_type', 'Send the body as JSON with `Content-Type: application/json`.');
    }
    next();
  };

const HALF_A_PAIR = /\p{Surrogate}/u;

/** JSON can say `"\ud800"`, which is no Unicode: MariaDB refuses it in a JSON column, and elsewhere it would be replaced. */
function isIllFormed(value: unknown): boolean {
  if (typeof value === 'string') {
    return HALF_A_PAIR.test(value);
  }
  return typeof value === 'object' && value !== null && Object.entries(value).some(([name, item]) => isIllFormed(name) || isIllFormed(item));
}

/** The value as its schema gives it. Throws invalid_request. */
export function parse(schema: z.ZodType | undefined, value: unknown, where: string): unknown {
  if (!schema) {
    return undefined;
  }
  const result = schema.safeParse(where === 'body' ? (value ?? {}) : value);
  if (result.success && isIllFormed(result.data)) {
    throw new OrionError('invalid_request', `The ${where} is not valid: a text holds half of a surrogate pair, which is no character.`);
  }
  if (result.success) {
    return result.data;
  }
  const errors = result.error.issues.slice(0, 20).map(({ path, message }) => ({ in: where, field: path.map(String).join('.'), message }));
  const summary = errors.map(({ field, message }) => (field ? `${field}: ${message}` : message)).join('; ');
  throw new OrionError('invalid_request', `The ${where} is not valid: ${summary}`.slice(0, 1000), { details: { errors } });
}

function document(registry: OpenAPIRegistry, spec: Endpoint): void {
  const describeProblem = (status: number): { description: string; content: Record<string, { schema: typeof problem }> } => ({
    description: `Problem (${status})`,
    content: { 'application/problem+json': { schema: problem } },
  });
  const usual = [400, ...(spec.access === 'public' ? [] : [401]), ...(spec.access === 'admin' ? [403] : []), ...(spec.problems ?? [])];
  registry.registerPath({
    method: spec.method,
    path: spec.path,
    summary: spec.summary,
    tags: [spec.path.split('/')[2] ?? 'other'],
    security: spec.access === 'public' ? [] : [{ [spec.access === 'node' ? 'nodeCredential' : 'accessToken']: [] }],
    request: {
      ...(spec.body ? { body: { content: { 'application/json': { schema: spec.body } } } } : {}),
      ...(spec.query ? { query: spec.query as never } : {}),
      ...(spec.params ? { params: spec.params as never } : {}),
    },
    responses: {
      ...Object.fromEntries(
        Object.entries(spec.answers).map(([status, { description, schema }]) => [
          status,
          { description, ...(schema ? { content: { 'application/json': { schema } } } : {}) },
        ]),
      ),
      ...Object.fromEntries([...new Set(usual)].map((status) => [status, describeProblem(status)])),
    },
  });
}

/** The cursor of the next page: the id of the last item, or null when this page was the last. */
export function nextCursor(items: { id: number }[], limit: number): string | null {
  const last = items.at(-1);
  return items.length === limit && last ? String(last.id) : null;
}

/** The Idempotency-Key header, checked; null without one. */
export function idempotencyKeyOf({ headers }: IncomingMessage): string | null {
  const key = headers['idempotency-key'];
  if (key === undefined) {
    return null;
  }
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(key)) {
    throw new OrionError('invalid_request', 'Idempotency-Key must be 1 to 128 visible ASCII characters, such as a UUID.');
  }
  return key;
}
