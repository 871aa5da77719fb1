import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { rangesOf, withoutMapping } from './address-key';

const keysOf = (address: string): string[] => rangesOf(address).map(({ key }) => key);

describe('the ranges under which an address is counted', () => {
  it.each([
    ['192.0.2.7', ['192.0.2.7']],
    ['::ffff:192.0.2.7', ['192.0.2.7']],
    ['::FFFF:c000:0207', ['192.0.2.7']],
    ['0:0:0:0:0:ffff:192.0.2.7', ['192.0.2.7']],
    ['2001:db8:1:2a3::5', ['2001:0db8:0001:02a3', '2001:0db8:0001:02']],
    ['2001:DB8:1:2A3:ffff:ffff:ffff:ffff', ['2001:0db8:0001:02a3', '2001:0db8:0001:02']],
    ['2001:db8:1:2ff::', ['2001:0db8:0001:02ff', '2001:0db8:0001:02']],
    ['::1', ['0000:0000:0000:0000', '0000:0000:0000:00']],
    ['fe80::1%eth0', ['fe80:0000:0000:0000', 'fe80:0000:0000:00']],
    ['64:ff9b::192.0.2.7', ['0064:ff9b:0000:0000', '0064:ff9b:0000:00']],
    ['unknown', ['unknown']],
    ['', ['']],
  ])('of %s are %j', (address, keys) => {
    expect(keysOf(address)).toEqual(keys);
  });

  it('are the same for every address of a /64, and the widest the same for every /64 of a /56', () => {
    const hextets = (n: number): fc.Arbitrary<number[]> => fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: n, maxLength: n });
    fc.assert(
      fc.property(hextets(8), hextets(4), fc.integer({ min: 0, max: 255 }), (one, host, subnet) => {
        fc.pre(one.some((group, i) => i < 4 && group !== 0));
        const text = (groups: number[]): string => groups.map((group) => group.toString(16)).join(':');
        const network = one.slice(0, 4);
        const sibling = [...one.slice(0, 3), ((one[3] ?? 0) & 0xff00) | subnet];
        expect(rangesOf(text([...network, ...host]))).toEqual(rangesOf(text(one)));
        expect(keysOf(text([...sibling, ...host])).at(-1)).toBe(keysOf(text(one)).at(-1));
        expect(keysOf(text([(one[0] ?? 0) ^ 1, ...one.slice(1)]))).not.toContain(keysOf(text(one)).at(-1));
      }),
    );
  });

  it('have an IPv4 address in them only for what is one', () => {
    expect([withoutMapping('::ffff:7f00:1'), withoutMapping('::1'), withoutMapping('::192.0.2.7'), withoutMapping('1.2.3.4')]).toEqual([
      '127.0.0.1',
      '::1',
      '::192.0.2.7',
      '1.2.3.4',
    ]);
  });
});
