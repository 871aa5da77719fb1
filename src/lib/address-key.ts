import { isIPv4, isIPv6 } from 'node:net';

/** A part of the address space that counts as one caller. */
export interface AddressRange {
  key: string;
  /** Factor for the limits of this range: how many times the allowance of a single caller it has. */
  share: number;
}

/** A provider gives one customer a /56, which contains 256 networks. The customer may have several machines at work, but not 256. */
const WIDE_SHARE = 4;
const HEXTETS_OF_64 = 4;
const MAPPED = /^(?:0000:){5}ffff:([0-9a-f]{2})([0-9a-f]{2}):([0-9a-f]{2})([0-9a-f]{2})$/;

/**
 * Returns the ranges that count an address, the narrowest first. An IPv4 address is its own range. An IPv6 address counts for its /64 and
 * its /56, because a machine with one address of a network can use all of them. The key of the /56 is a prefix of the key of the /64. A
 * text that is no address is its own range.
 */
export function rangesOf(address: string): [AddressRange, ...AddressRange[]] {
  const plain = withoutMapping(address);
  if (!isIPv6(plain)) {
    return [{ key: plain, share: 1 }];
  }
  const network = hextetsOf(plain).slice(0, HEXTETS_OF_64).join(':');
  return [
    { key: network, share: 1 },
    { key: network.slice(0, -2), share: WIDE_SHARE },
  ];
}

/** Converts an IPv4-mapped IPv6 address in any notation to the IPv4 address. Returns any other text unchanged. */
export function withoutMapping(address: string): string {
  const mapped = isIPv6(address) ? MAPPED.exec(hextetsOf(address).join(':')) : null;
  return mapped
    ? mapped
        .slice(1)
        .map((byte) => parseInt(byte, 16))
        .join('.')
    : address;
}

/** Returns the eight groups of an IPv6 address, four digits each (RFC 4291, section 2.2). */
function hextetsOf(address: string): string[] {
  const [text = ''] = address.toLowerCase().split('%');
  const [head = [], tail] = text.split('::').map(groupsOf);
  const all = tail === undefined ? [...head] : [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail];
  return all.map((group) => group.padStart(4, '0'));
}

const groupsOf = (text: string): string[] =>
  text === '' ? [] : text.split(':').flatMap((group) => (isIPv4(group) ? hextetsOfIPv4(group) : [group]));

function hextetsOfIPv4(address: string): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  return [a * 256 + b, c * 256 + d].map((group) => group.toString(16));
}
