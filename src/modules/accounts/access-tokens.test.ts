import { describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { issueAccessToken, tokenClaims } from './access-tokens';
import { checkPassword, hashPassword } from './passwords';

describe('an access token', () => {
  it('R10: names its user, issuer, audience and expiry, has an id of its own, and no role', () => {
    const settings = { key: 'a key of the tests that is long enough', ttlSeconds: 60 };
    const [first, second] = [issueAccessToken({ id: 7 }, settings), issueAccessToken({ id: 7 }, settings)].map((token) => jwt.verify(token, settings.key) as jwt.JwtPayload);
    expect(first).toMatchObject({ sub: '7', iss: 'orion', aud: 'orion-api' });
    expect((first?.exp ?? 0) - (first?.iat ?? 0)).toBe(60);
    expect(first?.jti).not.toBe(second?.jti);
    expect(first).not.toHaveProperty('role');
    expect(tokenClaims.safeParse(first).success).toBe(true);
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
