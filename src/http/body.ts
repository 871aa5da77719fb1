import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { OrionError } from '../lib/errors';

export const BODY_LIMIT_BYTES = 64 * 1024;

/**
 * Checks that a body is valid UTF-8 (RFC 8259, section 8.1) and keeps its bytes for `bytesOfBody`. Without the check, invalid bytes would
 * be replaced, and two different passwords could become equal.
 */
export function requireUtf8(...[req, , body, encoding]: [unknown, unknown, Buffer, string]): void {
  if (typeof req === 'object' && req !== null) {
    bytes.set(req, body);
  }
  if (encoding !== 'utf-8' || !isUtf8(body)) {
    throw new OrionError('unsupported_media_type', 'Send the body as UTF-8.');
  }
}

const bytes = new WeakMap<object, Buffer>();

/** Returns the body of a request exactly as it arrived, because agents sign these bytes. Empty for a request without a JSON body. */
export const bytesOfBody = (req: IncomingMessage): Buffer => bytes.get(req) ?? Buffer.alloc(0);

/** Parses a body to an object or a list, as Express' parser does. Throws the same errors. */
export function parseJsonBody(req: IncomingMessage, body: Buffer): unknown {
  requireUtf8(req, null, body, 'utf-8');
  try {
    const value = JSON.parse(body.toString('utf8').replace(/^\ufeff/, '')) as unknown;
    if (typeof value === 'object' && value !== null) {
      return value;
    }
  } catch {
    // Handled below, like JSON that is neither an object nor a list.
  }
  throw Object.assign(new Error('the body is no JSON'), { type: 'entity.parse.failed' });
}
