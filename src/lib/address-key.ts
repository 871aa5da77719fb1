import { isIPv4, isIPv6 } from 'node:net';

/** A part of the address space that counts as one caller. */
export interface AddressRange {
  key: string;
  /** How many times the allowance of a single caller this range has. */
  share: number;
}

/** A /56 is what a provider gives one customer, and it holds 256 networks. The customer may have several machines at work, but not 256. */
const WIDE_SHARE = 4;
const HEXTETS_OF_64 = 4;
const MAPPED = /^(?:0000:){5}ffff:([0-9a-f]{2})([0-9a-f]{2}):([0-9a-f]{2})([0-9a-f]{2})$/;

/**
 * The ranges under which an address is counted, the narrowest first. An IPv4 address is its own range. An IPv6 address is counted with its /64 and with its
 * /56, because whoever has one address of a network has all of them. The key of the /56 is a prefix of the key of the /64. A text that is no address is a
 * range of its own.
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

/** An IPv4-mapped IPv6 address as the IPv4 address that it is, in whatever form it is written; any other text as it is. */
export function withoutMapping(address: string): string {
  const mapped = isIPv6(address) ? MAPPED.exec(hextetsOf(address).join(':')) : null;
  return mapped ? mapped.slice(1).map((byte) => parseInt(byte, 16)).join('.') : address;
}

/** The eight groups of an IPv6 address, four digits each. (RFC 4291, section 2.2.) */
function hextetsOf(address: string): string[] {
  const [text = ''] = address.toLowerCase().split('%');
  const [head = [], tail] = text.split('::').map(groupsOf);
  const all = tail === undefined ? [...head] : [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail];
  return all.map((group) => group.padStart(4, '0'));
}

const groupsOf = (text: string): string[] => (text === '' ? [] : text.split(':').flatMap((group) => (isIPv4(group) ? hextetsOfIPv4(group) : [group])));

function hextetsOfIPv4(address: string): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  return [a * 256 + b, c * 256 + d].map((group) => group.toString(16));
}
