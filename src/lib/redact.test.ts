import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { randomSecret } from './ids';
import { createLogger, type LogFields } from './logger';
import { redact, redactText } from './redact';

const crypt = `$6$${'s'.repeat(16)}$${'h'.repeat(86)}`;
const pem = '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----';
const jwt = `eyJhbGciOiJI.${'a'.repeat(20)}.${'b'.repeat(20)}`;

describe('redaction', () => {
  it.each([
    'password',
    'PASSWORD',
    'newPassword',
    'passphrase',
    'client_secret',
    'joinToken',
    'credential',
    'Authorization',
    'set-cookie',
    'privateKey',
    'private_key',
    'jwt',
  ])('R44: masks whatever a field named %s holds', (name) => {
    expect(redact({ [name]: 'hunter2', list: [{ [name]: { deep: 'hunter2' } }] })).toEqual({
      [name]: '[redacted]',
      list: [{ [name]: '[redacted]' }],
    });
  });

  it('R44: leaves names that only look like it', () => {
    const fields = { tokenId: 7, claimToken: 'abc', tokensUsed: 3, join_token_id: 1, password: null, secret: undefined };
    expect(redact(fields)).toEqual(fields);
  });

  it.each([
    ['a JWT', jwt],
    ['a join token', randomSecret('orion_join_')],
    ['a node credential', randomSecret('orion_node_')],
    ['a private key', pem],
    ['half of a private key', pem.slice(0, 40)],
    ['a crypt hash', crypt],
    ['an argon2 hash', `$argon2id$v=19$m=19456,t=2,p=1$${'x'.repeat(40)}`],
  ])('R44: masks %s wherever it stands', (_what, secret) => {
    expect(redactText(`before ${secret} after`)).not.toContain(secret.slice(0, 30));
    expect(JSON.stringify(redact({ note: [`x=${secret}`], error: new Error(secret, { cause: new Error(secret) }) }))).not.toContain(
      secret.slice(-12),
    );
  });

  it('flattens errors with their code and cause', () => {
    const error = Object.assign(new Error('outer', { cause: new Error('inner') }), { code: 'ECONNRESET' });
    expect(redact({ error })).toMatchObject({
      error: { name: 'Error', message: 'outer', code: 'ECONNRESET', cause: { message: 'inner' } },
    });
  });

  it('ends on cycles and on any depth', () => {
    const cycle: Record<string, unknown> = { name: 'a' };
    cycle['self'] = cycle;
    expect(JSON.stringify(redact(cycle))).toContain('[deep]');
    const error: Error & { cause?: unknown } = new Error('a');
    error.cause = error;
    expect(JSON.stringify(redact(error))).toContain('[deep]');
  });

  it('gives something that JSON can say for anything, without touching it', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true }), (value) => {
        expect(() => JSON.stringify(redact(value))).not.toThrow();
      }),
    );
    const given = { password: 'x', at: new Date(0) };
    expect(redact(given)).toEqual({ password: '[redacted]', at: new Date(0) });
    expect(given.password).toBe('x');
  });
});

describe('the log', () => {
  it('R44: redacts what it is given, keeps to its level, and carries the fields of its parents', () => {
    const lines: [string, string, LogFields][] = [];
    const logger = createLogger('info', (...line) => void lines.push(line), { role: 'api' }).child({ nodeId: 3 });
    logger.debug('unseen');
    logger.info('seen', { password: 'x' });
    logger.error('bad');
    expect(lines).toEqual([
      ['info', 'seen', { role: 'api', nodeId: 3, password: '[redacted]' }],
      ['error', 'bad', { role: 'api', nodeId: 3 }],
    ]);
  });
});
