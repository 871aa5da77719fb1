import { describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { issueAccessToken, keyOfToken, readTokenKeys, tokenClaims } from './access-tokens';
import { checkPassword, hashPassword } from './passwords';

describe('an access token', () => {
  const settings = { key: 'a key of the tests that is long enough', extraKeys: [], ttlSeconds: 60 };

  it('R10: names its user, issuer, audience and expiry, has an id of its own, and no role', () => {
    const now = new Date('2031-05-04T03:02:01.999Z');
    const [first, second] = [issueAccessToken({ id: 7 }, settings, now), issueAccessToken({ id: 7 }, settings, now)].map(
      (token) => jwt.verify(token, settings.key) as jwt.JwtPayload,
    );
    expect(first).toMatchObject({ sub: '7', iss: 'orion', aud: 'orion-api' });
    expect([first?.iat, first?.exp]).toEqual([now.getTime() / 1000, Date.parse('2031-05-04T03:03:01Z') / 1000]);
    expect(first?.jti).not.toBe(second?.jti);
    expect(first).not.toHaveProperty('role');
    expect(tokenClaims.safeParse(first).success).toBe(true);
  });

  it('R44: is verified with the key that signed it while keys are rotated, and with the one that signs when none did', () => {
    const of = (key: string): string => issueAccessToken({ id: 7 }, { ...settings, key }, new Date(0));
    const texts = [settings.key, 'the key of yesterday', 'the key of tomorrow'];
    const keys = readTokenKeys({ key: settings.key, extraKeys: texts.slice(1) });
    expect(texts.map((key) => keyOfToken(of(key), keys))).toEqual([keys.key, ...keys.extraKeys]);
    expect(['', 'x', 'a.b.c', of('a key of nobody'), jwt.sign('text', 'a key of nobody')].map((token) => keyOfToken(token, keys))).toEqual(
      Array(5).fill(keys.key),
    );
  });
});

describe('a password', () => {
  it('R10: is checked against its hash, and against a decoy when there is none', async () => {
    const hash = await hashPassword('correct horse');
    expect(await checkPassword(hash, 'correct horse')).toBe(true);
    expect(await checkPassword(hash, 'wrong')).toBe(false);
    expect(await checkPassword(undefined, 'no password equals this one')).toBe(false);
  });
});
