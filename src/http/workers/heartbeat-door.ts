import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import helmet from 'helmet';
import type { z } from 'zod';
import { type HeartbeatAnswer, type HeartbeatContext, type ShownHeartbeat, takeHeartbeats } from '../../flows/record-heartbeat';
import { createBatcher } from '../../lib/batcher';
import { withDeadline } from '../../lib/clock';
import { OrionError } from '../../lib/errors';
import { sha256 } from '../../lib/ids';
import type { CallerHints } from '../../modules/nodes';
import { BODY_LIMIT_BYTES, parseJsonBody } from '../body';
import type { ApiSettings } from '../deps';
import { noteAnswer, requestIdOf } from '../observe';
import { sendProblem, toOrionError } from '../problem';
import { parse } from '../route';
import { HEARTBEAT_PATH, presentHeartbeat, presentUsual, toHeartbeat } from './heartbeat-call';
import { heartbeatBody } from './schema';

export interface HeartbeatDoor {
  ctx: HeartbeatContext;
  settings: ApiSettings;
  stopping: AbortSignal;
  /** Takes everything else, and what there is more to do about than to note it. */
  app: RequestListener;
}

/** Twice as many make the database no faster, and leave the process idle meanwhile. */
const MAX_BATCH = 250;
const DEADLINE_MS = 5_000;

/**
 * A way past Express for the one call that comes thousands of times a second, and is written with others (docs/adr/0020-heartbeats.md). It takes
 * what is plainly a good heartbeat and answers as the route in the app would; anything else goes on to that route.
 */
export function createHeartbeatDoor({ ctx, settings, stopping, app }: HeartbeatDoor): RequestListener {
  const usual = presentUsual(settings);
  const fixedHeaders = [...securityHeaders(), 'Content-Type', 'application/json; charset=utf-8'];
  const hints: CallerHints = new Map();
  const work = (heartbeats: ShownHeartbeat[]): Promise<(HeartbeatAnswer | undefined)[]> => takeBatch({ ctx, settings, hints }, heartbeats);
  const batcher = createBatcher({ windowMs: settings.heartbeatBatchMs, max: MAX_BATCH, clock: ctx.clock, work });

  const answer = (res: ServerResponse, requestId: string, heartbeat: HeartbeatAnswer): void => {
    const body = JSON.stringify(presentHeartbeat(heartbeat, usual));
    res.writeHead(200, [...fixedHeaders, 'X-Request-Id', requestId, 'Content-Length', String(Buffer.byteLength(body))]).end(body);
  };
  const take = async (req: IncomingMessage, res: ServerResponse, credential: string): Promise<void> => {
    const startedAt = ctx.clock.monotonicMs();
    const requestId = requestIdOf(req);
    const bytes = await readBody(req);
    if (!bytes) {
      return;
    }
    const done = (act: () => void): void => {
      res.shouldKeepAlive &&= !stopping.aborted;
      act();
      noteAnswer(req, res, { ...ctx, requestId, startedAt, route: HEARTBEAT_PATH });
    };
    try {
      const body = parseJsonBody(bytes);
      const heartbeat = readHeartbeat(body, credential);
      const answered = heartbeat && (await batcher.add(heartbeat));
      if (answered) {
        done(() => answer(res, requestId, answered));
      } else {
        // Express' parser leaves a body alone that was read already.
        app(Object.assign(req, { body }), res);
      }
    } catch (error) {
      done(() => sendProblem(res.setHeader('X-Request-Id', requestId), toOrionError(error), requestId));
    }
  };
  return (req, res) => {
    const credential = credentialOf(req);
    if (credential === undefined) {
      app(req, res);
    } else {
      take(req, res, credential).catch((error: unknown) => {
        // It was answered in part: nothing can be said any more, and one call must not end the process.
        ctx.logger.error('a heartbeat could not be answered', { error });
        res.destroy();
      });
    }
  };
}

/** Of a call that this door is for; undefined for all others, down to the slightest doubt. */
function credentialOf({ method, url, headers }: IncomingMessage): string | undefined {
  const isHeartbeat = method === 'POST' && url === HEARTBEAT_PATH;
  return isHeartbeat && isPlainJson(headers) ? /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1] : undefined;
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

/** Undefined for what is not valid: the route says why, to those who may know. */
function readHeartbeat(body: unknown, credential: string): ShownHeartbeat | undefined {
  try {
    return { ...toHeartbeat(parse(heartbeatBody, body, 'body') as z.output<typeof heartbeatBody>), credentialHash: sha256(credential) };
  } catch {
    return undefined;
  }
}

/** Nothing is lost when it fails: agents try again, each after a time of its own. */
async function takeBatch({ ctx, settings, hints }: Pick<HeartbeatDoor, 'ctx' | 'settings'> & { hints: CallerHints }, heartbeats: ShownHeartbeat[]): Promise<(HeartbeatAnswer | undefined)[]> {
  try {
    return await withDeadline(DEADLINE_MS, () => takeHeartbeats(ctx, heartbeats, hints));
  } catch (error) {
    ctx.logger.error('heartbeats could not be written', { heartbeats: heartbeats.length, error });
    throw new OrionError('unavailable', 'Heartbeats cannot be taken now. Try again.', { retryAfterSeconds: settings.heartbeatIntervalSeconds * Math.random(), cause: error });
  }
}

/** What Helmet puts into each answer of the app: names and values by turns. */
function securityHeaders(): string[] {
  const headers: string[] = [];
  const res = { setHeader: (name: string, value: string) => headers.push(name, value), removeHeader: () => undefined };
  helmet()({} as never, res as never, () => undefined);
  return headers;
}
