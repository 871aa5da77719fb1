import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { isConflict, isDatabaseGone } from '../db/transaction';
import { PROBLEMS } from '../contract';
import { MAC_HEADER } from '../lib/call-mac';
import { type ErrorCode, OrionError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { CallLocals, CallResponse } from './call';

/** Answers to bytes that Node's HTTP parser rejects, by error code. */
const UNREADABLE: Record<string, [status: number, detail: string]> = {
  HPE_HEADER_OVERFLOW: [431, 'The headers are larger than 16 KiB.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request took too long to come.'],
};

/** Errors of Express' own middleware, by the `type` that body-parser gives. */
const BODY_ERRORS: Record<string, [ErrorCode, string]> = {
  'entity.parse.failed': ['invalid_request', 'The body is not valid JSON.'],
  'encoding.unsupported': ['unsupported_media_type', 'Send the body as plain UTF-8 JSON.'],
  'charset.unsupported': ['unsupported_media_type', 'Send the body as UTF-8.'],
  'request.aborted': ['invalid_request', 'The request broke off.'],
  'request.size.invalid': ['invalid_request', 'The body is not as long as Content-Length says.'],
};

/** Converts any error to the one that the caller receives. */
function toOrionError(error: unknown): OrionError {
  if (error instanceof OrionError) {
    return error;
  }
  if (isDatabaseGone(error)) {
    return new OrionError('unavailable', 'The database does not answer. Try again, with the same Idempotency-Key if the request had one.', {
      retryAfterSeconds: 2,
      cause: error,
    });
  }
  if (isConflict(error)) {
    return new OrionError('unavailable', 'Others are changing the same thing at this moment, and nothing was done. Try again.', {
      retryAfterSeconds: 1,
      cause: error,
    });
  }
  const [code, detail] = faultOfCaller(error) ?? ['internal', 'This is a fault of the service. Report it with the request id.'];
  return new OrionError(code, detail, { cause: error });
}

/**
 * Returns the problem for an error of Express or its middleware, and undefined for any other error. Express gives its errors a status, and
 * some of them a type.
 */
function faultOfCaller(error: unknown): [ErrorCode, string] | undefined {
  if (!(error instanceof Error)) {
    return undefined;
  }
  const { type, status, limit } = error as { type?: unknown; status?: unknown; limit?: unknown };
  if (type === 'entity.too.large') {
    return ['body_too_large', `The body is larger than ${Number(limit) / 1024} KiB.`];
  }
  const known = typeof type === 'string' ? BODY_ERRORS[type] : undefined;
  if (known) {
    return known;
  }
  if (error instanceof URIError) {
    return ['invalid_request', 'The path is not valid.'];
  }
  return typeof status === 'number' && status >= 400 && status < 500
    ? [
        'invalid_request',
        'The request cannot be understood: its body is not what Content-Encoding says, or a header asks for what there is not.',
      ]
    : undefined;
}

/** Sends an error as application/problem+json (RFC 9457), sealed like any answer to an agent. */
function sendProblem(
  res: ServerResponse & { locals?: Partial<CallLocals> },
  error: OrionError,
  { requestId, first = [] }: { requestId: string; first?: readonly string[] },
): void {
  const { status, title } = PROBLEMS[error.code];
  const problem = {
    type: `urn:orion:problem:${error.code}`,
    title,
    status,
    code: error.code,
    detail: error.message,
    request_id: requestId,
    ...error.details,
  };
  const body = JSON.stringify(problem);
  const headers = [...first, 'Content-Type', 'application/problem+json; charset=utf-8', 'Content-Length', String(Buffer.byteLength(body))];
  if (error.retryAfterSeconds !== undefined) {
    headers.push('Retry-After', String(Math.ceil(error.retryAfterSeconds)));
  }
  if (status === 401) {
    headers.push('WWW-Authenticate', 'Bearer realm="orion"');
  }
  const seal = res.locals?.seal;
  if (seal) {
    headers.push(MAC_HEADER, seal(status, body));
  }
  res.writeHead(status, headers).end(body);
}

interface FailedCall {
  req: IncomingMessage;
  res: CallResponse;
  path: string;
  /** See sendAnswer. */
  first?: readonly string[];
}

/**
 * Answers a call whose handler threw, and logs the error if the service is at fault. Throws the error again when an answer has already
 * begun.
 */
export function answerError(logger: Logger, { req, res, path, first }: FailedCall, error: unknown): void {
  const { requestId, origin } = res.locals;
  const problem = toOrionError(error);
  if (!problem.isLogged && (problem.code === 'internal' || problem.code === 'unavailable')) {
    logger.error('request failed', {
      requestId,
      traceId: origin?.trace?.traceId,
      method: req.method ?? '',
      path,
      error: problem.cause ?? problem,
    });
  }
  if (res.headersSent) {
    throw error;
  }
  sendProblem(res, problem, { requestId, ...(first && { first }) });
}

export function createErrorHandler(logger: Logger): ErrorRequestHandler {
  // Express recognises an error handler by its four parameters.
  // eslint-disable-next-line @typescript-eslint/max-params
  return (error: unknown, req, res, next) => {
    try {
      answerError(logger, { req, res: res as never, path: req.path }, error);
    } catch (unanswered) {
      next(unanswered);
    }
  };
}

/**
 * Answers bytes that Node's HTTP parser rejects before there is a request, and ends the connection. The answer has the same form as any
 * other problem; Node's own answers have no body.
 */
export function answerUnreadable(error: NodeJS.ErrnoException, socket: Duplex & { _httpMessage?: { headersSent: boolean } | null }): void {
  // Nothing is written into an answer that has begun. Node's own handler checks the same member.
  if (error.code === 'ECONNRESET' || !socket.writable || socket._httpMessage?.headersSent) {
    socket.destroy();
    return;
  }
  const [status, detail] = UNREADABLE[error.code ?? ''] ?? ([400, 'That is not HTTP/1.1.'] as const);
  endWithProblem(socket, { ...PROBLEMS.invalid_request, status, code: 'invalid_request', detail }, { requestId: randomUUID() });
}

/** Refuses an upgrade, which Node passes on as a bare socket, with a problem. Then it closes the connection, whatever the peer does. */
export function refuseUpgrade(socket: Duplex, { code, message, retryAfterSeconds }: OrionError, requestId = randomUUID() as string): void {
  // Otherwise, a peer that does not close its half would keep the socket open.
  socket.once('finish', () => socket.destroy());
  endWithProblem(socket, { ...PROBLEMS[code], code, detail: message }, { requestId, retryAfterSeconds });
}

interface Problem {
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
}

interface Ending {
  requestId: string;
  retryAfterSeconds?: number | undefined;
}

function endWithProblem(socket: Duplex, { title, status, code, detail }: Problem, { requestId, retryAfterSeconds }: Ending): void {
  const body = JSON.stringify({ type: `urn:orion:problem:${code}`, title, status, code, detail, request_id: requestId });
  const head = [
    'Connection: close',
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
  ];
  if (retryAfterSeconds !== undefined) {
    head.push(`Retry-After: ${Math.ceil(retryAfterSeconds)}`);
  }
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${head.join('\r\n')}\r\n\r\n${body}`);
}

export const notFound: RequestHandler = () => {
  throw new OrionError('not_found', 'There is nothing at this path. /api/docs lists what there is.');
};
