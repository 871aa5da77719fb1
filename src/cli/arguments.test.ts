import { describe, expect, it } from '@jest/globals';
import { addLabel, parseClient, parseDuration, parseKey, parseServer, positiveNumber, wholeNumber } from './arguments';

describe('arguments', () => {
  it('make a duration of hours or of minutes, not of both', () => {
    expect(parseDuration({})).toBeUndefined();
    expect(parseDuration({ hours: 1.5 })).toEqual({ duration_hours: 1.5 });
    expect(parseDuration({ minutes: 30 })).toEqual({ duration_minutes: 30 });
    expect(() => parseDuration({ hours: 1, minutes: 30 })).toThrow('either');
  });

  it.each(['', '-1', '0', '1e3', 'NaN', '0x10', '1.5'])('refuse %j as a whole number from 1 on', (text) => {
    expect(() => wholeNumber(1)(text)).toThrow('whole number');
  });

  it.each(['', '0', '-1', 'Infinity', '1,5'])('refuse %j as a number above 0', (text) => {
    expect(() => positiveNumber(text)).toThrow('above 0');
  });

  it.each(['', 'two words', 'ключ', 'a\n', 'x'.repeat(129)])('refuse %j as an idempotency key', (text) => {
    expect(() => parseKey(text)).toThrow('visible ASCII');
  });

  it('take an idempotency key as it is', () => {
    expect(parseKey('3f2b-1')).toBe('3f2b-1');
  });

  it('collect labels', () => {
    expect(addLabel('b=x=y', addLabel('a='))).toEqual({ a: '', b: 'x=y' });
    expect(() => addLabel('=x')).toThrow('name=value');
    expect(() => addLabel('a=2', { a: '1' })).toThrow('twice');
  });

  it('name an account by id or by name', () => {
    expect([parseClient('12'), parseClient('ada')]).toEqual([12, 'ada']);
  });

  it.each([
    ['https://orion.example.org/', 'https://orion.example.org'],
    ['orion.example.org', 'https://orion.example.org'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ['https://example.org/orion/', 'https://example.org/orion'],
  ])('take %s for the server %s', (text, server) => {
    expect(parseServer(text)).toBe(server);
  });

  it.each(['', 'ftp://x', 'https://user:secret@x', 'https://x/?a=1', 'http://'])('refuse %j as a server', (text) => {
    expect(() => parseServer(text)).toThrow('not the URL of a server');
  });
});
