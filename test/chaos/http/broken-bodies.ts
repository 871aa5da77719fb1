import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { systemClock } from '../../../src/lib/clock';
import type { Caddy } from '../../lab';
import type { Random } from '../random';

/**
 * What a stranger sends, in pieces with a pause before each but the first. `leave`: the connection is cut then; otherwise the answer is
 * awaited.
 */
interface BrokenBody {
  kind: string;
  pieces: string[];
  pauseMs?: number;
  leave?: boolean;
}

/** Larger than any body that Caddy or an API takes. */
const TOO_LARGE = 1_200_000;
/** A stranger's connection lasts no longer. */
const LIMIT_MS = 4_000;
/** Endpoints of agents and of people. Strangers reach both. */
const PATHS = ['/api/workers/heartbeat', '/api/register', '/api/workers/register', '/api/login', '/api/signup', '/api/rent', '/api/me'];

const head = (method: string, path: string, ...lines: string[]): string =>
  `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;

const CHUNKED = 'Transfer-Encoding: chunked';

/** One body that is wrong in one of the ways that HTTP can be wrong. */
function invent(random: Random): BrokenBody {
  const path = random.pick(PATHS);
  return random.pick<() => BrokenBody>([
    () => ({ kind: 'malformed chunk', pieces: [`${head('POST', path, CHUNKED)}zz\r\n`] }),
    () => ({ kind: 'malformed second chunk', pieces: [`${head('POST', path, CHUNKED)}4\r\n{"a"\r\n`, 'zz\r\n'], pauseMs: 50 }),
    () => ({ kind: 'malformed chunk of a GET', pieces: [`${head('GET', path, CHUNKED)}4\r\n{"a"\r\nzz\r\n`] }),
    () => ({ kind: 'oversized', pieces: [head('POST', path, `Content-Length: ${TOO_LARGE}`), 'x'.repeat(TOO_LARGE)] }),
    () => ({ kind: 'oversized in chunks', pieces: [`${head('POST', path, CHUNKED)}${TOO_LARGE.toString(16)}\r\n`, 'x'.repeat(TOO_LARGE)] }),
    () => ({ kind: 'shorter than it says', pieces: [`${head('POST', path, 'Content-Length: 900')}{"a"`], pauseMs: 50, leave: true }),
    () => ({
      kind: 'slow',
      pieces: [head('POST', path, 'Content-Length: 900'), ...Array.from({ length: 12 }, () => 'x')],
      pauseMs: 250,
      leave: true,
    }),
  ])();
}

function open(caddy: Caddy, secure: boolean): Socket {
  const socket = secure
    ? connectTls({
        host: '127.0.0.1',
        port: caddy.httpsPort,
        servername: 'localhost',
        rejectUnauthorized: false,
        ALPNProtocols: ['http/1.1'],
      })
    : connect(caddy.httpPort, '127.0.0.1');
  return socket.on('error', () => undefined);
}

/** Sends one broken body to Caddy, over http or https. Resolves with its kind when the connection is over. */
export async function sendBrokenBody(caddy: Caddy, random: Random): Promise<string> {
  const { kind, pieces, pauseMs = 0, leave = false } = invent(random);
  const socket = open(caddy, random.chance(0.5));
  const over = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  // Bytes of an answer: nothing more will be said on this connection that matters here.
  socket.once('data', () => socket.destroy());
  for (const [n, piece] of pieces.entries()) {
    if (n > 0 && pauseMs > 0) {
      await systemClock.sleep(pauseMs);
    }
    if (!socket.destroyed) {
      socket.write(piece);
    }
  }
  if (leave) {
    await systemClock.sleep(pauseMs);
    socket.destroy();
  }
  await Promise.race([over, systemClock.sleep(LIMIT_MS)]);
  socket.destroy();
  return kind;
}
