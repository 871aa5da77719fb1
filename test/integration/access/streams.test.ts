import { get } from 'node:http';
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { User } from '../../../src/modules/accounts';
import { eventually } from '../../lab';
import type { TestApi } from '../../support/api';
import { aUser } from '../../support/builders';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';

const LIMIT_MS = 6_000;
const SHORT_SECONDS = 12;

const database = useTestDatabase();
const api = useTestApi(database);
const shortLived = useTestApi(database, { tokens: { ttlSeconds: SHORT_SECONDS } });
const root = useUser(database, { role: 'admin' });
let user: User;
beforeEach(async () => {
  user = await aUser(database.db, { role: 'admin' });
});

interface Watching {
  token: string;
  isOpen: () => boolean;
}

/** Follows the fleet. Resolves once something was told. */
async function watch(of: TestApi, token: string): Promise<Watching> {
  let [said, open] = ['', true];
  get(`${of.url}/api/nodes/stream`, { headers: { Authorization: `Bearer ${token}` } }, (response) => {
    response.on('data', (chunk: Buffer) => (said += chunk.toString()));
    response.on('close', () => (open = false));
  }).on('error', () => undefined);
  await eventually(() => said.includes('event: snapshot'), { what: 'the snapshot' });
  return { token, isOpen: () => open };
}

const change = (body: object): Promise<unknown> => api.call('patch', `/api/users/${user.id}`, { as: root, body });

describe('a stream of the fleet', () => {
  it.each([
    ['whose token is logged out', ({ token }: Watching) => api.call('post', '/api/logout', { as: token })],
    ['of a user who is disabled', () => change({ disabled: true })],
    ['of an admin who is demoted', () => change({ role: 'user' })],
  ])(
    '%s ends, and no other',
    async (_, happen) => {
      const [ends, stays] = [await watch(api, api.tokenOf(user)), await watch(api, api.tokenOf(root))];
      await happen(ends);
      await eventually(() => !ends.isOpen(), { what: 'the end of the stream', timeoutMs: LIMIT_MS });
      expect(stays.isOpen()).toBe(true);
    },
    20_000,
  );

  it('of a user who is promoted ends, so that it begins anew with what an admin sees', async () => {
    user = await aUser(database.db);
    const watching = await watch(api, api.tokenOf(user));
    await change({ role: 'admin' });
    await eventually(() => !watching.isOpen(), { what: 'the end of the stream', timeoutMs: LIMIT_MS });
  }, 20_000);

  it('ends with its token at the latest', async () => {
    const begun = Date.now();
    const watching = await watch(shortLived, shortLived.tokenOf(user));
    await eventually(() => !watching.isOpen(), { what: 'the end of the stream', timeoutMs: SHORT_SECONDS * 1000 });
    expect(Date.now() - begun).toBeLessThanOrEqual(SHORT_SECONDS * 1000);
    expect(Date.now() - begun).toBeGreaterThan(1_000);
  }, 30_000);
});
