import type { OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ErrorRequestHandler, RequestHandler, Router } from 'express';
import type { z } from 'zod';
import { type AnswerOf, type BodyOf, type CallAccess, type Endpoint, type ParamsOf, problem, type QueryOf } from '../contract';
import { OrionError } from '../lib/errors';
import { currentOrigin } from '../lib/origin';
import { currentSpan, inTrace, SpanKind } from '../lib/trace';
import { parseTraceparent } from '../lib/trace-context';
import type { Principal } from '../modules/accounts';
import type { RefusalLog } from '../modules/audit';
import type { Authenticator } from './auth';
import { type Answer, type CallLocals, type CallRequest, type CallResponse, sendAnswer } from './call';
import type { NodeCaller } from './node-caller';
import { originOf } from './origin';
import { refusalOf } from './refusals';

/** The caller of an endpoint, by the endpoint's access. */
type CallerOf<E extends Endpoint> = {
  session: Principal;
  user: Principal;
  admin: Principal;
  node: NodeCaller;
  machine: NodeCaller | undefined;
  public: undefined;
}[E['access']];

interface RouteInput<E extends Endpoint> {
  body: BodyOf<E>;
  query: QueryOf<E>;
  params: ParamsOf<E>;
  by: CallerOf<E>;
  req: CallRequest;
  res: ServerResponse;
}

/** An answer that the endpoint declares. */
export type Answered<E extends Endpoint> = AnswerOf<E> & Pick<Answer, 'headers' | 'seal'>;

/** The parts of a request that a schema describes, not validated yet. */
interface RawCall {
  req: CallRequest;
  res: CallResponse;
  body: unknown;
  query?: unknown;
  params?: unknown;
}

/** An endpoint as Express and the fast path both serve it: identify the caller, validate the request, run the handler. */
export interface Route {
  endpoint: Endpoint;
  identify: (req: CallRequest, locals: CallLocals) => Promise<void>;
  /** Throws invalid_request, and any error of the handler. Events that the handler records carry the origin of the call. */
  run: (call: RawCall) => Promise<Answer>;
  /** Records the refusal, if the error of a failed call is one. Never rejects. */
  noteFailure: (error: unknown, call: { req: CallRequest; locals: CallLocals }) => Promise<void>;
}

/** Adds routes to an Express router, to the OpenAPI document and, where the endpoint is `fast`, to the fast path. */
export interface RouteMaker {
  /**
   * Adds an endpoint. `guards` are rate limits: they run in Express, after the caller is identified and before validation. `on` and
   * `answer` are two calls, so that the compiler knows the endpoint when it checks the handler.
   */
  on<E extends Endpoint>(
    endpoint: E,
    ...guards: RequestHandler[]
  ): { answer: (handle: (input: RouteInput<E>) => Promise<Answered<E>>) => void };
}

interface RouteTargets {
  router: Router;
  registry: OpenAPIRegistry;
  auth: Authenticator;
  /** Routes of endpoints that are `fast`. */
  fast: Route[];
  refusals: RefusalLog;
}

export function createRouteMaker({ router, registry, auth, fast, refusals }: RouteTargets): RouteMaker {
  return {
    on: (endpoint, ...guards) => ({
      answer: (handle) => {
        document(registry, endpoint);
        const identify = auth[endpoint.access];
        const about = aboutSpansOf(endpoint);
        const run: Route['run'] = ({ req, res, body, query, params }) =>
          inCallTrace(about, { req, res }, () => {
            const { principal, caller } = res.locals;
            const input = {
              body: parse(endpoint.body, body, 'body'),
              query: parse(endpoint.query, query, 'query'),
              params: parse(endpoint.params, params, 'path'),
            };
            return handle({ ...input, by: principal ?? caller, req, res } as never) as Promise<Answer>;
          });
        const noteFailure: Route['noteFailure'] = async (error, call) => {
          const refusal = refusalOf(error, { ...call, path: endpoint.path });
          await (refusal && refusals.note(refusal));
        };
        const handlers: RequestHandler[] = [
          async (req, res, next) => {
            await identify(req, res.locals as CallLocals);
            next();
          },
          ...guards,
          requireJson(endpoint.body !== undefined),
          async (req, res) =>
            sendAnswer(res as never, await run({ req, res: res as never, body: req.body, query: req.query, params: req.params })),
        ];
        router[endpoint.method](endpoint.path.replace(/\{(\w+)\}/g, ':$1'), ...handlers, passOn(noteFailure));
        if (endpoint.fast && guards.length > 0) {
          throw new Error(`${endpoint.path} is fast: no guard runs there`);
        }
        if (endpoint.fast) {
          fast.push({ endpoint, identify, run, noteFailure });
        }
      },
    }),
  };
}

interface AboutSpans {
  name: string;
  attributes: Record<string, string>;
}

function aboutSpansOf({ method, path }: Endpoint): AboutSpans {
  const verb = method.toUpperCase();
  return { name: `${verb} ${path}`, attributes: { 'http.request.method': verb, 'http.route': path } };
}

/** Runs a call as a trace of its own, or as a part of the trace that its caller names in the header `traceparent` (W3C Trace Context). */
function inCallTrace(
  { name, attributes }: AboutSpans,
  { req, res }: Pick<RawCall, 'req' | 'res'>,
  handle: () => Promise<Answer>,
): Promise<Answer> {
  const parent = parseTraceparent(req.headers['traceparent']);
  return inTrace(name, { kind: SpanKind.SERVER, attributes, origin: originOf(req, res.locals), parent }, async () => {
    res.locals.origin = currentOrigin();
    const answer = await handle();
    currentSpan()?.setAttributes({ 'http.response.status_code': answer.status });
    return answer;
  });
}

const passOn =
  (noteFailure: Route['noteFailure']): ErrorRequestHandler =>
  // Express knows an error handler by its four parameters.
  // eslint-disable-next-line @typescript-eslint/max-params
  async (error: unknown, req, res, next) => {
    await noteFailure(error, { req, locals: res.locals as CallLocals });
    next(error);
  };

/** Creates a handler that refuses a body that is not JSON. A request without a body passes. */
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

/**
 * Returns true when a text contains half of a surrogate pair. JSON can contain `"\ud800"`, which is no Unicode. MariaDB refuses it in a
 * JSON column; elsewhere it would be replaced.
 */
function isIllFormed(value: unknown): boolean {
  if (typeof value === 'string') {
    return HALF_A_PAIR.test(value);
  }
  return (
    typeof value === 'object' && value !== null && Object.entries(value).some(([name, item]) => isIllFormed(name) || isIllFormed(item))
  );
}

/** Validates a value and returns the result of its schema. Throws invalid_request. */
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

const SECURITY: Record<CallAccess, Record<string, string[]>[]> = {
  public: [],
  session: [{ accessToken: [] }],
  user: [{ accessToken: [] }],
  admin: [{ accessToken: [] }],
  node: [{ nodeCredential: [] }],
  machine: [{}, { nodeCredential: [] }],
};

function document(registry: OpenAPIRegistry, spec: Endpoint): void {
  const describeProblem = (status: number): { description: string; content: Record<string, { schema: typeof problem }> } => ({
    description: `Problem (${status})`,
    content: { 'application/problem+json': { schema: problem } },
  });
  const usual = [
    400,
    ...(spec.access === 'public' || spec.access === 'machine' ? [] : [401]),
    ...(spec.access === 'user' || spec.access === 'admin' ? [403] : []),
    ...(spec.problems ?? []),
  ];
  registry.registerPath({
    method: spec.method,
    path: spec.path,
    summary: spec.summary,
    tags: [spec.path.split('/')[2] ?? 'other'],
    security: SECURITY[spec.access],
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

/** Returns the cursor of the next page: the id of the last item, or null when this page was the last. */
export function nextCursor(items: { id: number }[], limit: number): string | null {
  const last = items.at(-1);
  return items.length === limit && last ? String(last.id) : null;
}

/** Returns the validated Idempotency-Key header, or null without one. */
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
