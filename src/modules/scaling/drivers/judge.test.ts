import { describe, expect, it } from '@jest/globals';
import { silentLogger } from '../../../lib/logger';
import type { ContainerInfo, ServiceInfo, TaskInfo } from '../engine';
import type { CpuReading } from '../types';
import { cloneOf, replicaName, whyNotCloned } from './clone';
import { judgeContainers } from './compose';
import { coresOf, measureReplicas } from './measure';
import { judgeService } from './swarm';

interface Made {
  name?: string;
  id?: string;
  state?: Record<string, unknown>;
  host?: Record<string, unknown>;
  labels?: Record<string, string>;
  networks?: Record<string, unknown>;
  image?: string;
}

/** Describes a container that compose made, as the engine does. Contains only the fields that the code reads. */
function aContainer({
  name = 'shop_api_1',
  id = `${'a'.repeat(12)}ffff`,
  state = {},
  host = {},
  labels = {},
  networks,
  image = 'sha256:1',
}: Made = {}): ContainerInfo {
  return {
    Id: id,
    Name: `/${name}`,
    Image: image,
    State: { Status: 'running', Running: true, Paused: false, Restarting: false, ...state },
    HostConfig: { NetworkMode: 'shop_default', RestartPolicy: { Name: 'unless-stopped' }, NanoCpus: 0, PortBindings: {}, ...host },
    Config: {
      Hostname: id.slice(0, 12),
      Image: 'orion:local',
      Env: ['A=b'],
      StopTimeout: 40,
      Labels: {
        'com.docker.compose.project': 'shop',
        'com.docker.compose.service': 'api',
        'com.docker.compose.container-number': '1',
        'com.docker.compose.config-hash': 'h',
        ...labels,
      },
    },
    NetworkSettings: {
      Networks: networks ?? {
        shop_default: { Aliases: ['api', id.slice(0, 12)], IPAMConfig: null, IPAddress: '10.0.0.2', MacAddress: '02:42' },
      },
    },
  } as unknown as ContainerInfo;
}

const stopped = { Status: 'exited', Running: false };

describe('a compose service', () => {
  it.each([
    ['nothing is in the way', [aContainer()], 1, null],
    ['one that somebody stopped counts for nothing', [aContainer(), aContainer({ state: stopped })], 1, null],
    ['an unhealthy one counts: load makes health checks slow', [aContainer({ state: { Health: { Status: 'unhealthy' } } })], 1, null],
    ['one is not up yet', [aContainer(), aContainer({ state: { Health: { Status: 'starting' } } })], 2, 'starting'],
    ['one crashes again and again', [aContainer(), aContainer({ state: { Status: 'restarting', Restarting: true } })], 1, 'starting'],
    ['one was told to go', [aContainer(), aContainer({ host: { RestartPolicy: { Name: 'no' } } })], 1, 'draining'],
    [
      'no policy at all is no mark',
      [aContainer({ host: { RestartPolicy: { Name: 'no' } } }), aContainer({ host: { RestartPolicy: { Name: '' } } })],
      2,
      null,
    ],
    ['one that went has stopped', [aContainer(), aContainer({ state: stopped, host: { RestartPolicy: { Name: 'no' } } })], 1, null],
    ['somebody paused one', [aContainer({ state: { Paused: true } })], 1, 'paused'],
    ['an update is under way', [aContainer(), aContainer({ labels: { 'com.docker.compose.config-hash': 'other' } })], 2, 'updating'],
    ['a new image is rolled out', [aContainer(), aContainer({ image: 'sha256:2' })], 2, 'updating'],
    ['there is none', [], 0, 'no_replica'],
    ['it has a port of its own', [aContainer({ host: { PortBindings: { '3000/tcp': [{ HostPort: '3000' }] } } })], 1, 'foreign'],
    [
      'it has an address of its own',
      [aContainer({ networks: { shop_default: { IPAMConfig: { IPv4Address: '10.0.0.9' } } } })],
      1,
      'foreign',
    ],
    ['it has a name of its own', [aContainer({ name: 'the-api' })], 1, 'foreign'],
  ])('%s', (...[, containers, actual, obstacle]) => {
    const judged = judgeContainers(containers);
    expect([judged.serving.length, judged.obstacle]).toEqual([actual, obstacle]);
  });

  it('has replicas of so many cores', () => {
    expect([
      coresOf(aContainer()),
      coresOf(aContainer({ host: { NanoCpus: 5e8 } })),
      coresOf(aContainer({ host: { CpuQuota: 150_000, CpuPeriod: 100_000 } })),
    ]).toEqual([1, 0.5, 1.5]);
  });

  it('is measured replica by replica: a reading that fails or is no number is null', async () => {
    const readings: Record<string, Promise<CpuReading>> = {
      a: Promise.resolve({ usedMs: 10, atMs: 20 }),
      b: Promise.reject(new Error('it hangs')),
      c: Promise.resolve({ usedMs: NaN, atMs: 20 }),
    };
    const engine = { readCpu: (id: string) => readings[id] ?? Promise.reject(new Error('unknown')) };
    const containers = ['a', 'b', 'c'].map((id) => aContainer({ id, name: `shop_api_${id}` }));
    expect(await measureReplicas(containers, { engine, logger: silentLogger })).toEqual([
      { containerId: 'a', name: 'shop_api_a', cores: 1, cpu: { usedMs: 10, atMs: 20 } },
      { containerId: 'b', name: 'shop_api_b', cores: 1, cpu: null },
      { containerId: 'c', name: 'shop_api_c', cores: 1, cpu: null },
    ]);
  });
});

describe('a clone', () => {
  it('is named as the version of compose that made its siblings names them', () => {
    expect([
      replicaName(aContainer(), 3),
      replicaName(aContainer({ name: 'shop-api-1' }), 3),
      replicaName(aContainer({ name: 'abc_shop_api_1' }), 3),
    ]).toEqual(['shop_api_3', 'shop-api-3', undefined]);
  });

  it("takes over everything but what is the source's own", () => {
    const { options, networks } = cloneOf(aContainer({ labels: { 'com.docker.compose.replace': 'old' } }), {
      number: 2,
      image: 'orion:local',
    });
    expect(options).toMatchObject({
      name: 'shop_api_2',
      Image: 'orion:local',
      Env: ['A=b'],
      StopTimeout: 40,
      HostConfig: { NetworkMode: 'shop_default' },
    });
    expect(options.Hostname).toBeUndefined();
    expect(options.Labels).toMatchObject({ 'com.docker.compose.container-number': '2', 'com.docker.compose.config-hash': 'h' });
    expect(options.Labels).not.toHaveProperty(['com.docker.compose.replace']);
    expect(options['NetworkingConfig']).toEqual({ EndpointsConfig: { shop_default: { Aliases: ['api'] } } });
    expect(networks).toEqual([]);
  });

  it('of compose 2 has its own name for an alias, and joins further networks later', () => {
    const { options, networks } = cloneOf(
      aContainer({
        name: 'shop-api-1',
        networks: { shop_back: { Aliases: ['shop-api-1', 'api'] }, shop_default: { Aliases: ['shop-api-1', 'api', 'front'] } },
      }),
      { number: 2, image: 'i' },
    );
    expect(options['NetworkingConfig']).toEqual({ EndpointsConfig: { shop_default: { Aliases: ['shop-api-2', 'api', 'front'] } } });
    expect(networks).toEqual([['shop_back', { Aliases: ['shop-api-2', 'api'] }]]);
  });

  it('says why there cannot be one', () => {
    expect(whyNotCloned(aContainer())).toBeNull();
    expect(whyNotCloned(aContainer({ host: { PortBindings: { '80/tcp': [{ HostPort: '' }] } } }))).toBeNull();
    expect(whyNotCloned(aContainer({ name: 'the-api' }))).toContain('fixed name');
  });
});

describe('a swarm service', () => {
  const aService = (replicas: number, update?: string): ServiceInfo =>
    ({
      ID: 's',
      Version: { Index: 1 },
      Spec: { Mode: { Replicated: { Replicas: replicas } } },
      ...(update ? { UpdateStatus: { State: update } } : {}),
    }) as unknown as ServiceInfo;
  const aTask = (desired: string, state: string, node = 'n1'): TaskInfo => ({
    NodeID: node,
    DesiredState: desired,
    Status: { State: state },
  });
  const up = aTask('running', 'running');

  it.each<[string, ServiceInfo | undefined, TaskInfo[], string | null]>([
    ['nothing is in the way', aService(2), [up, up], null],
    ['one is coming', aService(2), [up, aTask('running', 'preparing')], 'starting'],
    ['one goes', aService(1), [up, aTask('shutdown', 'running')], 'draining'],
    ['one went long ago', aService(1), [up, aTask('shutdown', 'shutdown'), aTask('shutdown', 'failed')], null],
    ['one would go if its machine were there', aService(1), [up, aTask('shutdown', 'running', 'away')], null],
    ['an update is under way', aService(1, 'updating'), [up], 'updating'],
    ['an update failed and waits for somebody', aService(1, 'paused'), [up], 'paused'],
    ['there is none', aService(0), [], 'no_replica'],
    ['there is no such service', undefined, [], 'no_replica'],
    [
      'it runs on every machine',
      { ID: 's', Version: { Index: 1 }, Spec: { Mode: { Global: {} } } } as unknown as ServiceInfo,
      [up],
      'foreign',
    ],
  ])('%s', (...[, service, tasks, obstacle]) => {
    expect(judgeService(service, tasks, new Set(['n1']))).toBe(obstacle);
  });
});
