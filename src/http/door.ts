import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import helmet from 'helmet';
import { MAC_HEADER } from '../lib/call-mac';
import type { Clock } from '../lib/clock';
import { BODY_LIMIT_BYTES, parseJsonBody } from './body';
import { newRequestId, noteAnswer, type Observing } from './observe';
import { sendProblem, toOrionError } from './problem';
import type { Answer } from './route';

/** A call that is plainly one for a door: JSON that could be parsed, with a credential. */
export interface DoorCall {
  req: IncomingMessage;
  requestId: string;
  body: unknown;
  /** For the log; whoever finds it out puts it here. */
  userId?: number;
}

/** A way past Express for one hot call: `POST` to a path. The app has a route for it too, which answers the same. */
export interface Door {
  path: string;
  /**
   * Takes what is plainly good. Undefined: there is more to say about it, nothing was done, and it goes on to the route. What is thrown is answered as the
   * app would, and goes nowhere else.
   */
  take: (call: DoorCall) => Promise<Answer | undefined>;
}

export interface DoorContext extends Observing {
  clock: Clock;
  stopping: AbortSignal;
  /** Takes everything that no door does. */
  app: RequestListener;
}

/** The doors' calls go to them, all others, down to the slightest doubt, to the app. */
export function createDoors(ctx: DoorContext, doors: Door[]): RequestListener {
  const { app, logger, stopping } = ctx;
  const byPath = new Map(doors.map((door) => [door.path, door]));
  const security = securityHeaders();
  const fixedHeaders = [...[...security].flat(), 'Content-Type', 'application/json; charset=utf-8'];

  const send = (res: ServerResponse, requestId: string, { status, headers = {}, body, seal }: Answer): void => {
    const text = JSON.stringify(body);
    const sealed = seal ? [MAC_HEADER, seal(status, text)] : [];
    res.writeHead(status, [...fixedHeaders, ...Object.entries(headers).flat(), ...sealed, 'X-Request-Id', requestId, 'Content-Length', String(Buffer.byteLength(text))]).end(text);
  };
  const take = async (req: IncomingMessage, res: ServerResponse, door: Door): Promise<void> => {
    const startedAt = ctx.clock.monotonicMs();
    const requestId = newRequestId();
    const bytes = await readBody(req);
    if (!bytes) {
      return;
    }
    let call: DoorCall | undefined;
    const done = (act: () => void): void => {
      res.shouldKeepAlive &&= !stopping.aborted;
      act();
      noteAnswer(ctx, { req, res, requestId, startedAt, route: door.path, userId: call?.userId });
    };
    try {
      const body = parseJsonBody(req, bytes);
      const answer = await door.take((call = { req, requestId, body }));
      if (answer) {
        done(() => send(res, requestId, answer));
      } else {
        // Express' parser leaves a body alone that was read already.
        app(Object.assign(req, { body }), res);
      }
    } catch (error) {
      done(() => sendProblem(res.setHeader('X-Request-Id', requestId).setHeaders(security), toOrionError(error), requestId));
    }
  };
  return (req, res) => {
    const door = doorOf(req, byPath);
    if (!door) {
      app(req, res);
      return;
    }
    take(req, res, door).catch((error: unknown) => {
      // It was answered in part: nothing can be said any more, and one call must not end the process.
      logger.error('a call could not be answered', { route: door.path, error });
      res.destroy();
    });
  };
}

function doorOf({ method, url = '', headers }: IncomingMessage, byPath: Map<string, Door>): Door | undefined {
  const door = method === 'POST' ? byPath.get(url) : undefined;
  return door && isPlainJson(headers) && /^(Bearer|Orion-MAC) \S+$/i.test(headers.authorization ?? '') ? door : undefined;
}

function isPlainJson(headers: IncomingMessage['headers']): boolean {
  const length = Number(headers['content-length']);
  const fits = length > 0 && length <= BODY_LIMIT_BYTES;
  return fits && headers['content-encoding'] === undefined && /^application\/json(; ?charset=utf-8)?$/i.test(headers['content-type'] ?? '');
}

/** Undefined: the caller hung up. */
function readBody(req: IncomingMessage): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => resolve(Buffer.concat(chunks)));
    req.on('error', () => resolve(undefined));
    req.on('close', () => resolve(undefined));
  });
}

/** What Helmet puts into each answer of the app. */
function securityHeaders(): Map<string, string> {
  const headers = new Map<string, string>();
  const res = { setHeader: (name: string, value: string) => headers.set(name, value), removeHeader: () => undefined };
  helmet()({} as never, res as never, () => undefined);
  return headers;
}
