import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { OrionError } from '../lib/errors';

export const BODY_LIMIT_BYTES = 64 * 1024;

/** Keeps the bytes for `bytesOfBody`. JSON is UTF-8 (RFC 8259, section 8.1). Bytes that are none would otherwise be replaced, and two different passwords be one. */
export function requireUtf8(...[req, , body, encoding]: [unknown, unknown, Buffer, string]): void {
  if (typeof req === 'object' && req !== null) {
    bytes.set(req, body);
  }
  if (encoding !== 'utf-8' || !isUtf8(body)) {
    throw new OrionError('unsupported_media_type', 'Send the body as UTF-8.');
  }
}

const bytes = new WeakMap<object, Buffer>();

/** A request's body as it came, which agents sign; empty for one without a JSON body. */
export const bytesOfBody = (req: IncomingMessage): Buffer => bytes.get(req) ?? Buffer.alloc(0);

/** An object or a list, as Express' parser would give it. Throws what that would throw. */
export function parseJsonBody(req: IncomingMessage, body: Buffer): unknown {
  requireUtf8(req, null, body, 'utf-8');
  try {
    const value = JSON.parse(body.toString('utf8').replace(/^\ufeff/, '')) as unknown;
    if (typeof value === 'object' && value !== null) {
      return value;
    }
  } catch {
    // The same as what is neither an object nor a list.
  }
  throw Object.assign(new Error('the body is no JSON'), { type: 'entity.parse.failed' });
}
