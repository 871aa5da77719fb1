import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { beforeAll, expect, it } from '@jest/globals';
import type { createOrionClient as Create } from '../../../src/client';
import { packageRoot } from '../../../src/lib/package-root';
import { aUser } from '../../support/builders';
import { useTestApi, useTestDatabase } from '../../support/hooks';

const database = useTestDatabase();
const api = useTestApi(database);
let createOrionClient: typeof Create;
beforeAll(async () => {
  ({ createOrionClient } = (await import(pathToFileURL(join(packageRoot(), 'dist', 'client.js')).href)) as {
    createOrionClient: typeof Create;
  });
}, 60_000);

it('R16: the client that programs import makes typed calls, and has a problem as an answer', async () => {
  const user = await aUser(database.db);
  const orion = createOrionClient({ baseUrl: api.url, token: api.tokenOf(user) });
  const me = await orion['/api/me'].GET();
  expect(me.data?.user.username).toBe(user.username);
  const leases = await orion['/api/leases'].GET({ params: { query: { running: 'true', limit: 3 } } });
  expect(leases.data).toEqual({ items: [], next_cursor: null });
  const none = await orion['/api/leases/{id}'].GET({ params: { path: { id: 7 } } });
  expect([none.response.status, none.data, none.error?.code]).toEqual([404, undefined, 'not_found']);
});
