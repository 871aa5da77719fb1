import { isIP } from 'node:net';
import { type AddressRange, rangesOf, withoutMapping } from '../lib/address-key';
import type { CallRequest } from './call';

/** The caller's IP address; undefined when a trusted proxy passed something on that is none. */
export function callerAddressOf(req: CallRequest): string | undefined {
  const address = withoutMapping(req.ip ?? '');
  return isIP(address) > 0 ? address : undefined;
}

/** The ranges of addresses with which the caller is counted. Callers without an address are counted together. */
export const callerRangesOf = (req: CallRequest): [AddressRange, ...AddressRange[]] => rangesOf(callerAddressOf(req) ?? 'unknown');
