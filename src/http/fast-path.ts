import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Express } from 'express';
import helmet from 'helmet';
import { BODY_LIMIT_BYTES, parseJsonBody } from './body';
import { type CallLocals, type CallRequest, type CallResponse, sendAnswer } from './call';
import { newRequestId, noteAnswer, type Observing } from './observe';
import { answerError } from './problem';
import type { Route } from './route';

export interface FastPath extends Observing {
  stopping: AbortSignal;
  /** Serves every call that the fast path does not. */
  app: Express;
  /** Routes of endpoints that are `fast`. */
  routes: Route[];
}

/**
 * Serves calls of `fast` endpoints before Express. The middleware of Express costs more than the rest of a heartbeat, or of a rent up to
 * its claim (docs/adr/0021-rents-past-express.md). A call whose method, path or headers are not written in the usual way goes to Express.
 * Express and the fast path run the same steps of the same route, so their answers are the same.
 */
export function createFastPath(ctx: FastPath): RequestListener {
  const { app, logger } = ctx;
  const byPath = new Map(ctx.routes.map((route) => [route.endpoint.path, route]));
  const security = [...securityHeaders()].flat();
  return (req, res) => {
    const route = req.method === 'POST' && isPlainJson(req.headers) ? byPath.get(req.url ?? '') : undefined;
    if (!route) {
      app(req, res);
      return;
    }
    serve(ctx, { route, req, res, security }).catch((error: unknown) => {
      // Part of the answer was already sent, so no error can be sent. One failed call must not end the process.
      logger.error('a call could not be answered', { route: route.endpoint.path, error });
      res.destroy();
    });
  };
}

async function serve(
  ctx: FastPath,
  { route, req, res: bare, security }: { route: Route; req: IncomingMessage; res: ServerResponse; security: string[] },
): Promise<void> {
  const startedAt = ctx.clock.monotonicMs();
  const requestId = newRequestId();
  const locals: CallLocals = { requestId };
  const res: CallResponse = Object.assign(bare, { locals });
  const bytes = await readBody(req);
  if (!bytes) {
    return;
  }
  const first = [...security, 'X-Request-Id', requestId];
  const call = asExpressHasIt(req, ctx.app);
  try {
    const body = parseJsonBody(req, bytes);
    await route.identify(req, locals);
    const answer = await route.run({ req: call, res, body });
    endAfterThis(res, ctx.stopping);
    sendAnswer(res, answer, first);
  } catch (error) {
    await route.noteFailure(error, { req: call, locals });
    endAfterThis(res, ctx.stopping);
    answerError(ctx.logger, { req, res, path: route.endpoint.path, first }, error);
  }
  noteAnswer(ctx, { req, res, locals, startedAt, route: route.endpoint.path });
}

/** Makes the answer the last on its connection while the replica stops. The proxy then sends the next request to another replica. */
export function endAfterThis(res: ServerResponse, stopping: AbortSignal): void {
  if (stopping.aborted) {
    res.shouldKeepAlive = false;
  }
}

/** Gives the request the prototype that Express would give it, so that `ip` is the address behind the trusted proxies. */
const asExpressHasIt = (req: IncomingMessage, app: Express): CallRequest =>
  Object.setPrototypeOf(req, app.request as object) as CallRequest;

function isPlainJson(headers: IncomingMessage['headers']): boolean {
  const length = Number(headers['content-length']);
  const fits = length > 0 && length <= BODY_LIMIT_BYTES;
  return fits && headers['content-encoding'] === undefined && /^application\/json(; ?charset=utf-8)?$/i.test(headers['content-type'] ?? '');
}

/** Reads the body. Undefined: the caller closed the connection. */
function readBody(req: IncomingMessage): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => resolve(Buffer.concat(chunks)));
    req.on('error', () => resolve(undefined));
    req.on('close', () => resolve(undefined));
  });
}

/** Returns the headers that Helmet adds to each answer of Express. */
function securityHeaders(): Map<string, string> {
  const headers = new Map<string, string>();
  const res = { setHeader: (name: string, value: string) => headers.set(name, value), removeHeader: () => undefined };
  helmet()({} as never, res as never, () => undefined);
  return headers;
}
