import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { showSettings } from '../../../src/config/shown-settings';
import type { ReplicaReport } from '../../../src/contract';
import { systemClock } from '../../../src/lib/clock';
import { createLogger } from '../../../src/lib/logger';
import { createRecentLogs } from '../../../src/lib/recent-logs';
import { startTestApi, type TestApi } from '../../support/api';
import { aUser } from '../../support/builders';
import { openTestDatabase, type TestDatabase } from '../../support/database';

const CANARY = 'canary-5b9d20f7c3';
let database: TestDatabase;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase();
  const recentLogs = createRecentLogs(systemClock);
  createLogger(
    'info',
    recentLogs.keep(() => undefined),
  ).warn('login failed', { password: CANARY, node: 7 });
  const settings = showSettings({ ORION_JWT_KEY: CANARY, ORION_DB_PASSWORD: CANARY, ORION_SIGNUP: 'closed' }, ['api']);
  api = await startTestApi(database.db, { replica: { name: 'here:1', version: '0.1.0', settings, recentLogs } });
}, 60_000);
afterAll(async () => {
  await api.close();
  await database.close();
});

describe('GET /api/support', () => {
  it('R44: gives an admin state, settings and recent log lines of the replica, without secrets', async () => {
    const { status, body, text } = await api.call<ReplicaReport>('get', '/api/support', {
      as: await aUser(database.db, { role: 'admin' }),
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      replica: 'here:1',
      version: '0.1.0',
      node_version: process.version,
      jobs: [],
      schema: { pending: [], newer: [] },
    });
    expect(body.schema.applied.length).toBeGreaterThan(20);
    expect(body.database.version).toMatch(/MariaDB/i);
    expect(Number(body.database.counters['Slow_queries'])).toBeGreaterThanOrEqual(0);
    expect(body.settings).toContainEqual({ name: 'ORION_SIGNUP', value: 'closed' });
    expect(body.settings).toContainEqual({ name: 'ORION_JWT_KEY', value: 'set' });
    expect([...body.logs, ...body.faults].map((line) => JSON.parse(line) as object)).toEqual(
      [1, 2].map(() => expect.objectContaining({ message: 'login failed', node: 7 })),
    );
    expect(text).not.toContain(CANARY);
  });

  it('is for admins alone', async () => {
    expect((await api.call('get', '/api/support', { as: await aUser(database.db) })).status).toBe(403);
  });
});
