import { isIP } from 'node:net';
import type { Request } from 'express';

const IPV4_MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/;

/** The caller's IP address; undefined when a trusted proxy passed something on that is none. */
export function callerAddressOf(req: Request): string | undefined {
  const address = IPV4_MAPPED.exec(req.ip ?? '')?.[1] ?? req.ip;
  return address !== undefined && isIP(address) > 0 ? address : undefined;
}
