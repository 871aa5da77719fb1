import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseBaseUrl } from './base-url';

describe('the base URL of a server', () => {
  it.each([
    ['https://orion.example', 'https://orion.example'],
    ['https://Orion.Example:443', 'https://orion.example'],
    ['http://127.0.0.1:3000', 'http://127.0.0.1:3000'],
    ['https://[::1]:8443', 'https://[::1]:8443'],
  ])('%s is %s', (text, url) => expect(parseBaseUrl(text)).toBe(url));

  it.each([
    '',
    'orion.example',
    'ftp://orion.example',
    'https://',
    'https://orion.example/',
    'https://orion.example/path',
    'https://u:p@orion.example',
    'https://orion.example?x',
    'https://-a',
    'https://a:99999',
    "https://a'; id; '",
    'https://$(id)',
    'https://`id`',
    'https://a b',
    'https://a\nb',
    'https://a\n',
    'https://a"',
    'https://a;b',
    'https://a|b',
    'https://a\\b',
    'https://a#b',
    'https://[id]',
  ])('%j is none', (text) => expect(parseBaseUrl(text)).toBeUndefined());

  it('never holds what a shell would mind', () => {
    fc.assert(fc.property(fc.string(), (host) => /^https:\/\/[a-z0-9.:[\]-]+$/.test(parseBaseUrl(`https://${host}`) ?? 'https://a')));
  });
});
