import { isUtf8 } from 'node:buffer';
import { OrionError } from '../lib/errors';

export const BODY_LIMIT_BYTES = 64 * 1024;

/** JSON is UTF-8 (RFC 8259, section 8.1). Bytes that are none would otherwise be replaced, and two different passwords be one. */
export function requireUtf8(...[, , body, encoding]: [unknown, unknown, Buffer, string]): void {
  if (encoding !== 'utf-8' || !isUtf8(body)) {
    throw new OrionError('unsupported_media_type', 'Send the body as UTF-8.');
  }
}

/** An object or a list, as Express' parser would give it. Throws what that would throw. */
export function parseJsonBody(body: Buffer): unknown {
  requireUtf8(null, null, body, 'utf-8');
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
