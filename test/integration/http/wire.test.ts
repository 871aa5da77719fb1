import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, it } from '@jest/globals';
import { signManagement } from '../../../src/flows/enrolment/management-statement';
import { createDatabase } from '../../../src/db/connection';
import { aLease, aNode, aUser } from '../../support/builders';
import { CONTROL_KEY, startTestApi } from '../../support/api';
import { useForAll, useTestApi, useTestDatabase } from '../../support/hooks';
import { freePort } from '../../lab';

const database = useTestDatabase();
const api = useTestApi(database);
const user = useForAll(() => aUser(database.db, { username: 'grace' }));
const opened: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of opened) {
    await close();
  }
});

const JSON_TYPE = { 'Content-Type': 'application/json' };

describe('problems', () => {
  it('R16: are RFC 9457 documents with a stable code, what to do next, and the id of the request', async () => {
    const answer = await api.call('get', '/api/nowhere');
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(JSON.parse(answer.text)).toEqual({
      type: 'urn:orion:problem:not_found',
      title: 'There is no such thing',
      status: 404,
      code: 'not_found',
      detail: expect.stringContaining('/api/docs'),
      request_id: answer.headers['x-request-id'],
    });
  });

  it.each([
    ['by the app', '/api/nowhere', ''],
    ['past Express', '/api/workers/heartbeat', '{}'],
  ])('a caller does not choose the id under which its request is logged, answered %s', async (_how, path, body) => {
    const mine = randomUUID();
    const { headers } = await api.call('post', path, {
      as: 'orion_node_nobody',
      headers: { 'X-Request-Id': mine, ...JSON_TYPE },
      ...(body === '' ? {} : { body }),
    });
    expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers['x-request-id']).not.toBe(mine);
  });

  it('name each field that is wrong', async () => {
    const answer = await api.call('post', '/api/rent', { as: user, body: { count: 0, duration_hours: -1, surprise: 1 } });
    expect(answer.status).toBe(400);
    expect((JSON.parse(answer.text) as { errors: { field: string }[] }).errors.map(({ field }) => field)).toEqual(
      expect.arrayContaining(['count', 'duration_hours', '']),
    );
  });

  it.each<[string, string, Record<string, string>, number, string]>([
    ['too large', JSON.stringify({ username: 'x'.repeat(70_000) }), JSON_TYPE, 413, 'body_too_large'],
    ['not JSON', '{"username"', JSON_TYPE, 400, 'invalid_request'],
    ['a bare value', '"text"', JSON_TYPE, 400, 'invalid_request'],
    ['an array', '[]', JSON_TYPE, 400, 'invalid_request'],
    ['as deep as fits', '['.repeat(30_000) + ']'.repeat(30_000), JSON_TYPE, 400, 'invalid_request'],
    ['deep inside a field', `{"username":${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)},"password":"x"}`, JSON_TYPE, 400, 'invalid_request'],
    ['a form', 'username=a&password=b', { 'Content-Type': 'application/x-www-form-urlencoded' }, 415, 'unsupported_media_type'],
    ['in a charset nobody uses', '{}', { 'Content-Type': 'application/json; charset=latin9' }, 415, 'unsupported_media_type'],
    ['in an encoding nobody knows', '{}', { ...JSON_TYPE, 'Content-Encoding': 'rot13' }, 415, 'unsupported_media_type'],
    [
      'with a prototype to pollute',
      '{"__proto__":{"role":"admin"},"username":"mallory","password":"long enough one"}',
      JSON_TYPE,
      400,
      'invalid_request',
    ],
    [
      'with a constructor',
      '{"constructor":{"prototype":{"x":1}},"username":"mallory","password":"long enough one"}',
      JSON_TYPE,
      400,
      'invalid_request',
    ],
  ])('a body that is %s is refused', async (_what, body, headers, status, code) => {
    expect(await api.call('post', '/api/signup', { body, headers })).toMatchObject({ status, body: { code } });
    expect(({} as { role?: string }).role).toBeUndefined();
  });

  it('a prototype among labels is no label and pollutes nothing', async () => {
    const body = '{"duration_hours":1,"with_password":true,"requirements":{"labels":{"__proto__":"x"}}}';
    expect((await api.call('post', '/api/rent', { as: user, body, headers: JSON_TYPE })).body.code).toBe('no_node_free');
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  it('R16: a method that a path does not offer is no server error', async () => {
    expect((await api.call('put', '/api/rent', { as: user, body: {} })).status).toBe(404);
  });
});

describe('headers', () => {
  it('tell nothing of the machinery and keep browsers careful', async () => {
    const { headers } = await api.call('get', '/api/me', { as: user });
    expect(headers['x-powered-by']).toBeUndefined();
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['content-security-policy']).toContain("default-src 'self'");
  });
});

describe('the documents of the API', () => {
  it('R16: the page and what it loads are served by the API itself', async () => {
    expect((await api.call('get', '/api/docs')).text).toContain('/api/docs/start.js');
    expect((await api.call('get', '/api/docs/start.js')).text).toContain('/api/openapi.json');
    expect((await api.call('get', '/api/docs/assets/swagger-ui.css')).status).toBe(200);
    expect((await api.call('get', '/api/docs/assets/../package.json')).status).toBe(404);
  });
});

describe('health and metrics', () => {
  it('R36: a process lives before it is ready, and is unready before it stops', async () => {
    expect(await api.ops('/livez')).toMatchObject({ status: 200, body: { status: 'ok' } });
    expect(await api.call('get', '/readyz')).toMatchObject({ status: 503, body: { status: 'not ready', reason: 'starting' } });
    api.readiness.set(null);
    expect(await api.call('get', '/readyz')).toMatchObject({ status: 200, body: { status: 'ready' } });
    api.readiness.set('stopping');
    expect(await api.call('get', '/readyz')).toMatchObject({ status: 503, body: { reason: 'stopping' } });
  });

  it('I8: without its database it lives, is not ready, and says that it is unavailable', async () => {
    const nowhere = createDatabase({ ...database.access, port: await freePort(), poolSize: 2 });
    const management = await signManagement(
      { db: database.db },
      { username: 'orion-mgmt', publicKeys: [], controlKey: CONTROL_KEY, oldControlKeys: [] },
    );
    const cut = await startTestApi(nowhere, { settings: { management } });
    opened.push(
      () => cut.close(),
      () => nowhere.destroy(),
    );
    cut.readiness.set(null);
    expect((await cut.ops('/livez')).status).toBe(200);
    expect(await cut.call('get', '/readyz')).toMatchObject({ status: 503, body: { reason: 'the database does not answer' } });
    const answer = await cut.call('get', '/api/me', { as: user });
    expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    expect(answer.headers['retry-after']).toBe('2');
    expect((await cut.call('post', '/api/login', { body: { username: 'grace', password: 'x' } })).status).toBe(503);
    expect((await cut.ops('/metrics')).status).toBe(200);
  }, 40_000);

  it('R40: metrics tell of nodes and leases without naming a user, a node or a secret', async () => {
    const node = await aNode(database.db, { labels: { zone: 'secret-lab' } });
    await aLease(database.db, { userId: user.id, nodeId: node.id });
    await aNode(database.db, { status: 'dead', dirty: true });
    await api.call('get', `/api/leases/${node.id}`, { as: user });
    const { text } = await api.ops('/metrics');
    expect(text).toContain('orion_nodes{status="alive"} 1');
    expect(text).toContain('orion_nodes{status="dead"} 1');
    expect(text).toContain('orion_nodes_leasable 0');
    expect(text).toContain('orion_nodes_dirty 1');
    expect(text).toContain('orion_leases{state="active"} 1');
    expect(text).toContain('orion_migration_brake 0');
    expect(text).toMatch(/orion_http_request_duration_seconds_count\{method="GET",route="\/api\/leases\/:id",status="\d+"\}/);
    for (const secret of ['grace', 'secret-lab', node.credential, api.tokenOf(user), database.access.password]) {
      expect(text).not.toContain(secret);
    }
    const labels = [...text.matchAll(/(?<=[{,])(\w+)="/g)].map(([, name]) => name);
    expect(new Set(labels.filter((name) => /user|client|lease_id|node_id|path/.test(name ?? '')))).toEqual(new Set());
  });
});
