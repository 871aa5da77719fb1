import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Caddy, eventually, startProjectCaddy } from '../../lab';
import { useLab, useTestApi, useTestDatabase } from '../../support/hooks';

/** A real Caddy with the project's Caddyfile before a real API. */
const lab = useLab();
const database = useTestDatabase();
const api = useTestApi(database);
let caddy: Caddy;
let agent: Agent;
beforeAll(async () => {
  api.readiness.set(null);
  caddy = await startProjectCaddy(lab, [api]);
  agent = new Agent({ ca: readFileSync(caddy.caFile), keepAlive: true });
  await eventually(async () => (await statusOf('/api/openapi.json')) === 200, { what: 'Caddy finds the API', timeoutMs: 20_000 });
}, 90_000);
afterAll(() => agent.destroy());

/** Sends the path as it is written: `fetch` would resolve its dot segments. */
function statusOf(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request({ agent, host: 'localhost', port: caddy.httpsPort, path, timeout: 10_000 }, (res) => {
      res.resume();
      res.once('end', () => resolve(res.statusCode ?? 0));
    });
    asked.once('error', reject).end();
  });
}

const encodeLetters = (path: string): string => path.replace(/[a-z]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`);

/** Spellings of one path that some parser on the way might take for it. */
const spellingsOf = (path: string): string[] => [
  path,
  `${path}/`,
  `${path}//`,
  `/${path}`,
  `//${path}`,
  path.toUpperCase(),
  `${path}?x=/api/me`,
  `${path}%20`,
  `${path}.`,
  `${path};x`,
  `${path}%00`,
  `${path}%2f`,
  `${path}/.`,
  `/.${path}`,
  `/x/..${path}`,
  encodeLetters(path),
  `/%2f${path.slice(1)}`,
  `/api/..${path}`,
  `/api/%2e%2e${path}`,
  `/api/..%2f${path.slice(1)}`,
  `/api/docs/assets/../../..${path}`,
  `/api/docs/assets/..%2f..%2f..${path}`,
  `/api/x/../..${path}`,
  `/install.sh/..${path}`,
  `/api/workers/..${path}`,
  `/api/workers/../..${path}`,
  `/api/workers/%2e%2e/%2e%2e${path}`,
  `/api/workers/..%2f..%2f${path.slice(1)}`,
  `/\\..${path}`,
  `/api${path}`,
  `/api/workers${path}`,
];

describe('what is for the inside', () => {
  it.each(['/metrics', '/readyz', '/livez'])('%s is nowhere on the internet, however it is spelled', async (path) => {
    const answers = await Promise.all(spellingsOf(path).map(async (spelling) => [spelling, await statusOf(spelling)] as const));
    expect(answers.filter(([, status]) => status !== 404 && status !== 400)).toEqual([]);
    expect(
      answers
        .filter(([, status]) => status === 400)
        .map(([spelling]) => spelling)
        .filter((spelling) => !/%00|\\/.test(spelling)),
    ).toEqual([]);
  });

  it("is served at a port of its own, and the API answers the proxy's check alone", async () => {
    expect(await Promise.all(['/livez', '/readyz', '/metrics'].map(async (path) => (await api.ops(path)).status))).toEqual([200, 200, 200]);
    expect(
      await Promise.all(['/livez', '/metrics', '/livez/', '/readyz/', '/READYZ'].map(async (path) => (await api.call('get', path)).status)),
    ).toEqual([404, 404, 404, 404, 404]);
  });
});

describe('what is for everybody', () => {
  it('has one spelling: with a slash more, or in other letters, each route is nowhere', async () => {
    const { paths } = (await api.call<{ paths: Record<string, Record<string, unknown>> }>('get', '/api/openapi.json')).body;
    const calls = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => [method, path.replaceAll(/\{\w+\}/g, '1')] as const),
    );
    expect(calls.length).toBeGreaterThan(25);
    for (const [method, path] of calls) {
      for (const spelling of [`${path}/`, path.toUpperCase(), path.replace('/api', '/Api')]) {
        expect([method, spelling, (await api.call(method as 'get', spelling)).status]).toEqual([method, spelling, 404]);
      }
    }
  });

  it.each(['/install.sh', '/orion-agent.js', '/orion-agent.js.sha256', '/api/docs', '/api/openapi.json'])(
    '%s goes through',
    async (path) => {
      expect(await statusOf(path)).not.toBe(404);
    },
  );
});
