import { isIP } from 'node:net';
import { type AddressRange, rangesOf, withoutMapping } from '../lib/address-key';
import type { CallRequest } from './call';

/** Returns the caller's IP address, or undefined when a trusted proxy forwarded a value that is not an IP address. */
export function callerAddressOf(req: CallRequest): string | undefined {
  const address = withoutMapping(req.ip ?? '');
  return isIP(address) > 0 ? address : undefined;
}

/** Returns the address ranges that rate limits count for the caller. Callers without an address share one count. */
export const callerRangesOf = (req: CallRequest): [AddressRange, ...AddressRange[]] => rangesOf(callerAddressOf(req) ?? 'unknown');
