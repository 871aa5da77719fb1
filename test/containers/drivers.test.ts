import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/lib/clock';
import { silentLogger } from '../../src/lib/logger';
import { createSampler, type ScaleDriver } from '../../src/modules/scaling';
import { type Engine, openEngine, SCALE_DRIVERS } from '../../src/modules/scaling/docker';
import { type DockerEngine, eventually, openDocker, runOrThrow } from '../lab';
import { useLab } from '../support/hooks';

/** Sleepers that take two seconds to stop, as if they had work in hand. */
const COMPOSE = `
version: "3.8"
services:
  api:
    image: debian:bookworm-slim
    command: ["sh", "-c", "trap 'sleep 2; exit 0' TERM; while :; do sleep 0.1; done"]
    init: true
    restart: unless-stopped
    stop_grace_period: 20s
    environment: { SAYS: hello }
    secrets: [password]
    volumes: ["data:/data"]
    networks: [default, back]
    deploy: { endpoint_mode: dnsrr }
  scheduler:
    image: debian:bookworm-slim
    command: ["sleep", "infinity"]
    init: true
    ports: ["127.0.0.1:0:80"]
networks: { default: {}, back: {} }
volumes: { data: {} }
secrets: { password: { file: ./password } }
`;

const lab = useLab();
let docker: DockerEngine;
let engine: Engine;
let file: string;

beforeAll(async () => {
  docker = await openDocker(lab);
  engine = openEngine(docker.host.replace('unix://', ''));
  file = join(lab.dir, 'compose.yaml');
  writeFileSync(join(lab.dir, 'password'), 'hush\n');
  writeFileSync(file, COMPOSE);
}, 3_600_000);

const driverOf = (name: 'compose' | 'swarm', project: string): ScaleDriver =>
  SCALE_DRIVERS[name]({ engine, project, clock: systemClock, logger: silentLogger });

async function untilThereAre(n: number, driver: ScaleDriver): Promise<void> {
  const isIdle = async (): Promise<boolean> => {
    await driver.tidy('api');
    const { actual, obstacle } = await driver.inspect('api');
    return actual === n && obstacle === null;
  };
  await eventually(isIdle, { what: `${n} replicas, nothing under way`, timeoutMs: 60_000, everyMs: 200 });
}

describe('R31: replicas of a compose project', () => {
  const project = `orion-drivers-${process.pid}`;
  const compose = (...args: string[]): Promise<string> =>
    runOrThrow('docker-compose', ['-p', project, '-f', file, ...args], { env: docker.env, timeoutMs: 180_000 });
  const idsOf = async (service: string): Promise<string[]> =>
    (await compose('ps', '-q', service))
      .split('\n')
      .filter((id) => id !== '')
      .toSorted();
  let driver: ScaleDriver;

  beforeAll(async () => {
    driver = driverOf('compose', project);
    await compose('up', '-d');
  }, 240_000);
  afterAll(() => compose('down', '-v', '-t', '1'), 240_000);

  it("are what compose itself would have made, in all but what is each one's own", async () => {
    await driver.scale('api', { from: 1, to: 2 });
    await untilThereAre(2, driver);
    await compose('up', '-d', '--scale', 'api=3');
    const made = await Promise.all((await idsOf('api')).map((id) => engine.findContainer(id)));
    const essence = made
      .flatMap((container) => container ?? [])
      .toSorted((a, b) => a.Name.localeCompare(b.Name))
      .map(({ Id, Name, Image, HostConfig, Config, Mounts, NetworkSettings }) => ({
        name: Name,
        image: Image,
        HostConfig,
        mounts: Mounts.toSorted((a, b) => a.Destination.localeCompare(b.Destination)),
        config: {
          ...Config,
          Hostname: Id.startsWith(Config.Hostname),
          Labels: {
            ...Config.Labels,
            'com.docker.compose.container-number': Name.slice(-1) === Config.Labels['com.docker.compose.container-number'],
          },
        },
        networks: Object.entries(NetworkSettings.Networks).map(([network, { Aliases }]) => [
          network,
          (Aliases as string[]).map((alias) => (Id.startsWith(alias) ? 'own id' : alias)).toSorted(),
        ]),
      }));
    expect(essence.map(({ name }) => name)).toEqual([1, 2, 3].map((n) => `/${project}_api_${n}`));
    const [, ours, theirs] = essence;
    expect(ours).toEqual({ ...theirs, name: ours?.name });
  }, 240_000);

  it('are left alone by a later up', async () => {
    const before = await idsOf('api');
    expect(before).toHaveLength(3);
    await compose('up', '-d', '--scale', 'api=3');
    expect(await idsOf('api')).toEqual(before);
  }, 120_000);

  it('are seen by compose and by name, and can be measured', async () => {
    expect(await compose('ps', 'api')).toContain(`${project}_api_2`);
    const addresses = (await compose('exec', '-T', '--index=1', 'api', 'getent', 'ahostsv4', 'api'))
      .split('\n')
      .map((line) => line.split(' ')[0]);
    expect(new Set(addresses.filter(Boolean)).size).toBe(3);
    const sampler = createSampler({ staleMs: 60_000 });
    expect(sampler.measure(await driver.inspect('api'))).toBeNull();
    const load = await eventually(async () => sampler.measure(await driver.inspect('api')), { what: 'a load', everyMs: 500 });
    expect(load).toBeGreaterThan(0);
    expect(load).toBeLessThan(300);
  }, 120_000);

  it('go in the reverse order, after they have finished, and are not waited for meanwhile', async () => {
    const beganAt = systemClock.monotonicMs();
    await driver.scale('api', { from: 3, to: 2 });
    expect(await driver.inspect('api')).toMatchObject({ actual: 2, obstacle: 'draining' });
    await untilThereAre(2, driver);
    expect(systemClock.monotonicMs() - beganAt).toBeGreaterThan(1_500);
    const ps = await compose('ps', 'api');
    expect(ps).toContain('_api_2');
    expect(ps).not.toContain('_api_3');
  }, 120_000);

  it('go although whoever told them to is gone', async () => {
    await driver.scale('api', { from: 2, to: 1 });
    await untilThereAre(1, driverOf('compose', project));
    expect(await idsOf('api')).toHaveLength(1);
  }, 120_000);

  it('are not made when the service is not as it was found, or cannot have two', async () => {
    await expect(driver.scale('api', { from: 2, to: 3 })).rejects.toThrow('has changed');
    const [id = ''] = await idsOf('api');
    await docker.docker('pause', id);
    expect(await driver.inspect('api')).toMatchObject({ obstacle: 'paused' });
    await docker.docker('unpause', id);
    expect(await driver.inspect('api')).toMatchObject({ actual: 1, obstacle: null });
    await compose('stop', '-t', '1', 'api');
    expect(await driver.inspect('api')).toMatchObject({ actual: 0, obstacle: 'no_replica' });
  }, 120_000);
});

describe('R31: replicas of a swarm service', () => {
  const stack = `orion-drivers-${process.pid}`;
  let driver: ScaleDriver;
  let joined = false;

  beforeAll(async () => {
    driver = driverOf('swarm', stack);
    if ((await docker.docker('info', '--format', '{{.Swarm.LocalNodeState}}')).trim() === 'inactive') {
      await docker.docker('swarm', 'init', '--advertise-addr', '127.0.0.1', '--listen-addr', '127.0.0.1');
      joined = true;
    }
    // A port of the host's own choosing is nothing that a swarm knows.
    writeFileSync(join(lab.dir, 'stack.yaml'), COMPOSE.replace('    ports: ["127.0.0.1:0:80"]\n', ''));
    await docker.docker('stack', 'deploy', '-c', join(lab.dir, 'stack.yaml'), stack);
    await untilThereAre(1, driver);
  }, 240_000);
  afterAll(async () => {
    await docker.docker('stack', 'rm', stack);
    await eventually(async () => (await docker.docker('ps', '-q', '--filter', `label=com.docker.stack.namespace=${stack}`)) === '', {
      what: 'the stack is gone',
      timeoutMs: 60_000,
      everyMs: 500,
    });
    if (joined) {
      await docker.docker('swarm', 'leave', '--force');
    }
  }, 240_000);

  it('come and go with their number', async () => {
    await driver.scale('api', { from: 1, to: 3 });
    expect(await driver.inspect('api')).toMatchObject({ obstacle: 'starting' });
    await untilThereAre(3, driver);
    expect((await driver.inspect('api')).replicas).toHaveLength(3);
    await driver.scale('api', { from: 3, to: 2 });
    expect(await driver.inspect('api')).toMatchObject({ actual: 2, obstacle: 'draining' });
    await untilThereAre(2, driver);
    expect(await docker.docker('service', 'ls', '--filter', `name=${stack}_api`, '--format', '{{.Replicas}}')).toBe('2/2\n');
  }, 240_000);

  it('are changed by one of two who try at once, and by nobody who saw something else', async () => {
    const results = await Promise.allSettled([driver.scale('api', { from: 2, to: 3 }), driver.scale('api', { from: 2, to: 1 })]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await expect(driver.scale('api', { from: 2, to: 4 })).rejects.toThrow('has changed');
  }, 120_000);
});
