import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { z } from 'zod';
import { credentials, keyBody, loginBody, userChange } from './accounts';
import { extendBody, releaseBody, rentBody, secondsOf } from './leases';
import { approveBody, drainBody, quarantineBody } from './nodes';
import { idParam, pageQuery } from './paging';
import { tokenBody } from './tokens';
import { heartbeatBody, registerBody } from './workers';

const takes = (schema: z.ZodType, value: unknown): boolean => schema.safeParse(value).success;
const rentFor = (duration: object): boolean => takes(rentBody, duration);
const STRICT = {
  credentials,
  loginBody,
  keyBody,
  userChange,
  rentBody,
  extendBody,
  releaseBody,
  approveBody,
  drainBody,
  quarantineBody,
  tokenBody,
};
const ALL = { ...STRICT, registerBody, heartbeatBody, pageQuery, idParam };

describe('durations', () => {
  it.each([0, -1, 1e308, NaN, Infinity, '5', null, true, [2], {}])('R11: %p hours or minutes are no duration', (value) => {
    expect(rentFor({ duration_hours: value })).toBe(false);
    expect(rentFor({ duration_minutes: value })).toBe(false);
    expect(takes(extendBody, { lease_id: 1, duration_hours: value })).toBe(false);
  });

  it('R11: are given in hours or in minutes, in one of them', () => {
    expect(rentFor({})).toBe(false);
    expect(rentFor({ duration_hours: 1, duration_minutes: 60 })).toBe(false);
    expect([rentFor({ duration_hours: 0.5 }), rentFor({ duration_minutes: 30 })]).toEqual([true, true]);
    expect([secondsOf({ duration_hours: 0.5 }), secondsOf({ duration_minutes: 30 })]).toEqual([1800, 1800]);
  });

  it('R14: an extension moves the end by a second at least', () => {
    expect(takes(extendBody, { lease_id: 1, duration_minutes: 1 / 60 })).toBe(true);
    expect(takes(extendBody, { lease_id: 1, duration_hours: 1e-9 })).toBe(false);
  });
});

describe('bodies', () => {
  it.each(Object.entries(STRICT))('%s: refuses members that it does not know', (_name, schema) => {
    const issues = schema.safeParse({ surprise: 1 }).error?.issues ?? [];
    expect(issues.some(({ code }) => code === 'unrecognized_keys')).toBe(true);
  });

  it.each(Object.entries(ALL))('%s: takes or refuses anything at all without throwing, and pollutes nothing', (_name, schema) => {
    const hostile = [
      '{"__proto__":{"polluted":1}}',
      '{"constructor":{"prototype":{"polluted":1}}}',
      `${'['.repeat(5000)}${']'.repeat(5000)}`,
    ].map((text) => JSON.parse(text) as unknown);
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.constantFrom(...hostile)), (value) => {
        schema.safeParse(value);
      }),
    );
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('R5: labels are few, short, and made of harmless letters', () => {
    const withLabels = (labels: object): boolean => rentFor({ duration_hours: 1, requirements: { labels } });
    expect(withLabels({ 'a.b/c-d_e': 'x.y/z-0_1', empty: '' })).toBe(true);
    for (const labels of [
      { 'a b': 'c' },
      { '': 'c' },
      { a: 'b c' },
      { a: 1 },
      { ['x'.repeat(64)]: 'y' },
      { a: 'y'.repeat(64) },
      { 'a"]': 'b' },
      { a: '\n' },
      { _a: 'b' },
    ] as object[]) {
      expect(withLabels(labels)).toBe(false);
    }
    const many = (n: number): object => Object.fromEntries(Array.from({ length: n }, (_, each) => [`l${each}`, 'x']));
    expect([withLabels(many(32)), withLabels(many(33))]).toEqual([true, false]);
  });

  it('takes the host names that agents may have, and no other', () => {
    const called = (hostname: string): boolean => takes(registerBody, { hostname, host_key: 'k' });
    expect(['ok', 'node-1.example.org', 'A', '9', 'x'.repeat(253)].map(called)).toEqual([true, true, true, true, true]);
    expect(['my_host', '-a', 'a-', '.a', 'a.', 'b\u00fccher', 'a b', 'x'.repeat(254)].map(called)).not.toContain(true);
  });

  it('R1: a machine is where a host name or an address says, and nowhere else', () => {
    const at = (address: string): boolean => takes(registerBody, { hostname: 'h', host_key: 'k', address });
    for (const address of ['10.0.0.7', 'node-1.example', '::1', 'fe80::1', 'fe80::1%eth0', '::ffff:10.0.0.7', 'a']) {
      expect([address, at(address)]).toEqual([address, true]);
    }
    for (const address of [
      '',
      ' ',
      '-oProxyCommand=id',
      'a b',
      'a;b',
      '$(id)',
      'a\nb',
      '[::1]',
      'user@host',
      'a/b',
      '-a.b',
      '%eth0',
      '::1%',
      'fe80::1%a b',
      'x'.repeat(254),
    ]) {
      expect([address, at(address)]).toEqual([address, false]);
    }
  });

  it('ids and cursors are whole positive numbers', () => {
    expect(['1', '9007199254740991'].map((id) => takes(idParam, { id }))).toEqual([true, true]);
    expect(['0', '-1', '1.5', 'x', '', '9007199254740993', '1e99'].filter((id) => takes(idParam, { id }))).toEqual([]);
    expect(['', '-1', '1e3', '1'.repeat(16), '1;'].filter((cursor) => takes(pageQuery, { cursor }))).toEqual([]);
  });
});
