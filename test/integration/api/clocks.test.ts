import { beforeAll, describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { skewed } from '../../lab';
import { createApiClient, expectStatus } from '../../support/api-client';
import { useSystem } from '../../support/hooks';
import type { Replica } from '../../support/replica';
import { fastConstants } from '../../support/system';

const TTL_SECONDS = 60;
const SKEW_SECONDS = 600;

describe('replicas whose clocks are ten minutes ahead and behind', () => {
  const system = useSystem({ apis: 1, schedulers: 0, env: fastConstants({ tokenSeconds: TTL_SECONDS }) });
  let replicas: Replica[];

  beforeAll(async () => {
    const ahead = await system.startApi({ env: skewed(SKEW_SECONDS) });
    const behind = await system.startApi({ env: skewed(-SKEW_SECONDS) });
    replicas = [ahead, behind];
  }, 90_000);

  const now = async (): Promise<number> => (await system.sql<{ now: number }>('SELECT UNIX_TIMESTAMP() AS now'))[0]?.now ?? 0;
  const answersTo = async (token: string): Promise<number[]> =>
    Promise.all(replicas.map(async ({ url }) => (await createApiClient(url, token).get('/api/me')).status));

  it("R10: make tokens of one minute by the database's clock, and take each other's", async () => {
    const credentials = { username: 'ada', password: 'a password of a tenant' };
    expectStatus(await createApiClient(replicas[0]?.url ?? '').post('/api/signup', credentials), 201);
    for (const { url } of replicas) {
      const before = await now();
      const { token } = expectStatus(await createApiClient(url).post<{ token: string }>('/api/login', credentials), 200);
      const { iat = 0, exp = 0 } = jwt.decode(token) as jwt.JwtPayload;
      expect(Math.floor(iat)).toBeGreaterThanOrEqual(before);
      expect(Math.floor(iat)).toBeLessThanOrEqual(await now());
      expect(exp - Math.floor(iat)).toBe(TTL_SECONDS);
      expect(await answersTo(token)).toEqual([200, 200]);
    }
  }, 30_000);

  it('R10: agree on the moment at which one is over', async () => {
    const [user] = await system.sql<{ id: number }>("SELECT id FROM users WHERE username = 'operator'");
    const claims = { sub: String(user?.id), jti: '2f1a3c1e-6f0f-4e1e-9d8e-1b2c3d4e5f60', iss: 'orion', aud: 'orion-api' };
    const endingIn = async (seconds: number): Promise<string> =>
      jwt.sign({ ...claims, exp: (await now()) + seconds }, system.env['ORION_JWT_KEY'] ?? '', { algorithm: 'HS256' });
    expect(await answersTo(await endingIn(30))).toEqual([200, 200]);
    expect(await answersTo(await endingIn(-1))).toEqual([401, 401]);
  }, 30_000);
});
