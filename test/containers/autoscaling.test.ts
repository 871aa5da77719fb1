import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { type Container, createLab, eventually, type Lab, openDocker, run, type Stack, startStack } from '../lab';
import { type Load, startLoad } from './support/load';
import { countServed, signUp } from './support/people';

/** The defaults stand beside them. */
const SETTINGS = {
  ORION_SCALE_API_MAX: '3', // 4
  ORION_SCALE_TARGET_PERCENT: '30', // 60: the load, the proxy and the database share two cores with the replicas
  ORION_SCALE_INTERVAL_SECONDS: '2', // 5
  ORION_SCALE_STABILISATION_SECONDS: '10', // 60
  ORION_SCALE_COOLDOWN_SECONDS: '4', // 15
};

let lab: Lab;
let stack: Stack;
let token: string;

beforeAll(async () => {
  lab = createLab();
  stack = await startStack(lab, { engine: await openDocker(lab), settings: SETTINGS, scale: { api: 1, scheduler: 1 } });
  ({ token } = await signUp(lab, stack, 'ada'));
}, 600_000);
afterAll(() => lab.close(), 180_000);

const running = async (): Promise<Container[]> => (await stack.containers('api')).filter((container) => container.running);

const load = (options: { width: number; pauseMs?: number }): Load =>
  startLoad({ url: stack.httpsUrl, ca: readFileSync(stack.caFile, 'utf8'), requests: [{ method: 'GET', path: '/api/me', token }], ...options });

describe('the autoscaler', () => {
  it('R31: real load brings a second API within a minute, which then serves; after the load it goes, and no request fails', async () => {
    const [first] = await running();
    const heavy = load({ width: 24 });
    const grown = await eventually(async () => {
      const apis = await running();
      return apis.length > 1 && apis.every(({ health }) => health === 'healthy') ? apis : undefined;
    }, { what: 'a second API is there', timeoutMs: 60_000, everyMs: 500 });
    const second = grown.find(({ id }) => id !== first?.id) as Container;
    await eventually(async () => (await countServed(second, '/api/me')) > 20, { what: 'it serves', timeoutMs: 20_000, everyMs: 200 });
    expect(second.labels).toMatchObject({ 'com.docker.compose.service': 'api', 'com.docker.compose.project': stack.project });
    expect((await heavy.stop()).failures).toEqual([]);

    const light = load({ width: 2, pauseMs: 100 });
    const left = await eventually(async () => {
      const apis = await stack.containers('api');
      return apis.length === 1 ? apis : undefined;
    }, { what: 'one API is left', timeoutMs: 180_000, everyMs: 500 });
    const report = await light.stop();
    expect(report.failures).toEqual([]);
    expect(left.map(({ id }) => id)).toEqual([first?.id]);
  }, 300_000);

  it('R31: it never goes below one, and keeps its word about what it did', async () => {
    const [autoscaler] = await stack.containers('autoscaler');
    const { stderr: told } = await run('docker', ['logs', autoscaler?.id ?? ''], { env: stack.env });
    expect(await running()).toHaveLength(1);
    expect(told).toContain('"project":"' + stack.project);
    expect(told).not.toContain('"level":"error"');
  });
});
