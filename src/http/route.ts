import type { OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler, Response, Router } from 'express';
import { z } from 'zod';
import { MAC_HEADER, type Seal } from '../lib/call-mac';
import { OrionError } from '../lib/errors';
import type { Principal } from '../modules/accounts';
import type { Access, Authenticator } from './auth';

/** Declared once: what validates a request is what documents it. */
export interface RouteSpec<B extends z.ZodType, Q extends z.ZodType, P extends z.ZodType> {
  method: 'get' | 'post' | 'patch' | 'delete';
  /** Express style: `/api/leases/:id`. */
  path: string;
  summary: string;
  access: Access;
  body?: B;
  query?: Q;
  params?: P;
  /** Successful answers by status. Undefined: no body. */
  answers: Record<number, { description: string; schema?: z.ZodType }>;
  /** Error codes' statuses worth documenting here. */
  problems?: readonly number[];
  /** Run after authentication, before validation: rate limits. */
  guards?: RequestHandler[];
}

export interface RouteInput<B, Q, P> {
  body: B;
  query: Q;
  params: P;
  req: Request;
  res: Response;
}

export interface Answer {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
  /** Authenticates the answer to the agent that made the call. */
  seal?: Seal | undefined;
}

/** Of a call that a node made by HMAC. */
const sealOf = (res: Response): Seal | undefined => res.locals.seal as Seal | undefined;

/** Adds routes to an Express router and to the OpenAPI document at once. */
export interface RouteMaker {
  add<B extends z.ZodType = z.ZodUndefined, Q extends z.ZodType = z.ZodUndefined, P extends z.ZodType = z.ZodUndefined>(
    spec: RouteSpec<B, Q, P>,
    handle: (input: RouteInput<z.output<B>, z.output<Q>, z.output<P>>) => Promise<Answer>,
  ): void;
}

/** The principal of an authenticated request. */
export const principalOf = (res: Response): Principal => res.locals.principal as Principal;

export function createRouteMaker({ router, registry, auth }: { router: Router; registry: OpenAPIRegistry; auth: Authenticator }): RouteMaker {
  const guardsFor: Record<Access, RequestHandler[]> = { public: [], user: [auth.user], admin: [auth.admin], node: [auth.node] };
  return {
    add: (spec, handle) => {
      document(registry, spec);
      const run: RequestHandler = async (req, res) => {
        const body = parse(spec.body, req.body, 'body');
        const query = parse(spec.query, req.query, 'query');
        const params = parse(spec.params, req.params, 'path');
        send(res, await handle({ body, query, params, req, res } as never));
      };
      router[spec.method](spec.path, ...guardsFor[spec.access], ...(spec.guards ?? []), requireJson(spec.body !== undefined), run);
    },
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

function document<B extends z.ZodType, Q extends z.ZodType, P extends z.ZodType>(registry: OpenAPIRegistry, spec: RouteSpec<B, Q, P>): void {
  const problem = (status: number): { description: string; content: Record<string, { schema: { $ref: string } }> } => ({
    description: `Problem (${status})`,
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  });
  const usual = [400, ...(spec.access === 'public' ? [] : [401]), ...(spec.access === 'admin' ? [403] : []), ...(spec.problems ?? [])];
  registry.registerPath({
    method: spec.method,
    path: spec.path.replace(/:(\w+)/g, '{$1}'),
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
      ...Object.fromEntries([...new Set(usual)].map((status) => [status, problem(status)])),
    },
  });
}

const MAX_ID = Number.MAX_SAFE_INTEGER;

/** A number in a path or query: decimal digits and nothing else. `Number` would also take `0x1`, `1e3`, `+1` and ` 1`, and one thing has one name. */
function digits<T extends z.ZodType>(number: T): z.ZodPreprocess<T> {
  return z.preprocess((text) => (typeof text === 'string' && /^\d{1,16}$/.test(text) ? Number(text) : NaN), number);
}

/** A row's id in a path. */
export const idParam = z.object({ id: digits(z.int().min(1).max(MAX_ID)).meta({ description: 'Id', example: 1 }) });

/** A page: pass `next_cursor` of one answer as `cursor` of the next request. */
export const pageQuery = z.object({
  cursor: z.string().regex(/^\d{1,15}$/, 'use the next_cursor of the page before').optional(),
  limit: digits(z.int().min(1).max(500)).default(100),
});

export const pageOf = (item: z.ZodType): z.ZodType => z.object({ items: z.array(item), next_cursor: z.string().nullable() });

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
