import { describe, expect, it } from '@jest/globals';
import { createFailures } from './failures';

describe('failed logins at the gateway', () => {
  it('30 a minute count against the whole IPv6 network, and 120 against the customer that has it', async () => {
    const failures = createFailures();
    const fail = (times: number, addressOf: (i: number) => string): void =>
      Array.from({ length: times }, (_, i) => addressOf(i)).forEach((address) => failures.count(address));
    fail(30, (i) => `2001:db8:0:100::${i}`);
    expect(await failures.tooMany('2001:db8:0:100::ffff')).toBe(false);
    fail(1, () => '2001:db8:0:100::abcd');
    expect(await failures.tooMany('2001:db8:0:100::ffff')).toBe(true);
    expect(await failures.tooMany('2001:db8:0:101::1')).toBe(false);
    fail(90, (i) => `2001:db8:0:1${(i + 16).toString(16)}::1`);
    expect(await failures.tooMany('2001:db8:0:101::1')).toBe(true);
    expect(await failures.tooMany('2001:db8:0:200::1')).toBe(false);
  });

  it('an IPv4 address is the same in both of its forms, and no neighbour counts', async () => {
    const failures = createFailures();
    Array.from({ length: 31 }, () => failures.count('::ffff:192.0.2.7'));
    expect(await Promise.all(['192.0.2.7', '192.0.2.8'].map((address) => failures.tooMany(address)))).toEqual([true, false]);
  });
});
