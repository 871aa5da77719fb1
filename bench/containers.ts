import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, get as httpGet } from 'node:http';
import { Agent as HttpsAgent, get as httpsGet } from 'node:https';
import { systemClock } from '../src/lib/clock';
import { type Container, createLab, type DockerEngine, eventually, openDocker, type Stack, startStack } from '../test/lab';
import { startLoad } from '../test/containers/support/load';
import { countServed, signUp } from '../test/containers/support/people';
import type { Benchmark, BenchRun, Row } from './benchmark';
import { byTurns, figure, perSecond, ratioOf, timeMs } from './measure';

const CONNECTIONS = 16;
const SCALING = { ORION_SCALE_API_MAX: '2', ORION_SCALE_TARGET_PERCENT: '30' };

export const containers: Benchmark = {
  name: 'containers',
  method:
    `The stack of compose.yaml on a Docker engine of its own. Requests: \`GET /api/me\` over ${CONNECTIONS} kept connections, over TLS through Caddy with one replica and with two, against plain http straight to one replica, by turns; client, proxy, database and replicas share the cores, so a second replica has no core of its own here. ` +
    'Cold start: `docker start` of a stopped replica until its /readyz says yes, against the start and end of a container of the same image that runs `node -e 0`. From load to served: the autoscaler at its default schedule (a look every 5 s; target 30 % instead of 60 %, since the cores are shared), from the first request of a load to the first answer of a replica that was not there before, against the cold start of an API.',
  run: (run) => measureContainers(run),
};

async function measureContainers(run: BenchRun): Promise<Row[]> {
  const lab = createLab();
  try {
    const engine = await openDocker(lab);
    run.say('the images are there');
    const stack = await startStack(lab, { engine, settings: { ...SCALING, ORION_SCALE_DRY_RUN: 'true' }, scale: { api: 1, scheduler: 1 } });
    const { token } = await signUp(lab, stack, 'ada');
    const rows = [
      ...(await measureRequests(run, stack, token)),
      ...(await measureStarts(run, { engine, stack })),
      await measureSize(engine),
    ];
    await stack.down();
    return [
      ...rows,
      await measureScaling(run, { engine, cold: rows.find(({ what }) => what === 'cold start of an api')?.ours.value ?? NaN }),
    ];
  } finally {
    await lab.close();
  }
}

async function measureRequests({ short, say }: BenchRun, stack: Stack, token: string): Promise<Row[]> {
  const requests = short ? 300 : 2_000;
  const [api] = await stack.containers('api');
  const straight = { url: `http://${api?.address ?? ''}:3000`, ca: '' };
  const proxied = { url: stack.httpsUrl, ca: readFileSync(stack.caFile, 'utf8') };
  const rows: Row[] = [];
  for (const replicas of [1, 2]) {
    await scaleApi(stack, replicas);
    const rates: [number[], number[]] = [[], []];
    for (let round = 0; round <= (short ? 1 : 5); round += 1) {
      const [mine = NaN, base = NaN] = await byTurns(
        round,
        [proxied, straight].map((at) => () => rateOf({ ...at, token, requests })),
      );
      if (round > 0) {
        rates[0].push(mine);
        rates[1].push(base);
      }
    }
    say(`${replicas} behind Caddy: ${ratioOf(...rates).value.toFixed(2)}`);
    const what = `requests through Caddy, ${replicas} replica${replicas === 1 ? '' : 's'}`;
    rows.push({
      what,
      ours: figure(rates[0], '/s'),
      against: 'one replica without Caddy',
      base: figure(rates[1], '/s'),
      ratio: ratioOf(...rates),
    });
  }
  return rows;
}

async function scaleApi(stack: Stack, replicas: number): Promise<void> {
  await stack.compose('up', '-d', '--no-build', '--no-recreate', '--scale', `api=${replicas}`, 'api');
  await eventually(async () => (await stack.containers('api')).filter(({ health }) => health === 'healthy').length === replicas, {
    what: `${replicas} APIs are healthy`,
    timeoutMs: 90_000,
    everyMs: 500,
  });
}

async function rateOf({ url, ca, token, requests }: { url: string; ca: string; token: string; requests: number }): Promise<number> {
  const options = { keepAlive: true, maxSockets: CONNECTIONS };
  const tls = url.startsWith('https:');
  const agent = tls ? new HttpsAgent({ ...options, ca }) : new HttpAgent(options);
  const ask = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const get = tls ? httpsGet : httpGet;
      get(`${url}/api/me`, { agent, headers: { Authorization: `Bearer ${token}` } }, (response) => {
        response.resume();
        response.on('end', () => (response.statusCode === 200 ? resolve() : reject(new Error(`answered ${response.statusCode ?? 0}`))));
      }).on('error', reject);
    });
  try {
    return await perSecond(requests, CONNECTIONS, ask);
  } finally {
    agent.destroy();
  }
}

async function measureStarts({ short, say }: BenchRun, { engine, stack }: { engine: DockerEngine; stack: Stack }): Promise<Row[]> {
  const bare = (await engine.docker('create', '--network', 'none', '--entrypoint', 'node', 'orion:local', '-e', '0')).trim();
  const rows: Row[] = [];
  for (const service of ['api', 'scheduler', 'autoscaler']) {
    const [container] = await stack.containers(service);
    const times: [number[], number[]] = [[], []];
    for (let round = 0; round < (short ? 1 : 5); round += 1) {
      times[0].push((await startMs(engine, service, container)) / 1000);
      times[1].push((await timeMs(() => engine.docker('start', '-a', bare))) / 1000);
    }
    say(`${service}: ${times[0].map((each) => each.toFixed(1)).join(', ')} s`);
    const article = service.startsWith('a') ? 'an' : 'a';
    rows.push({
      what: `cold start of ${article} ${service}`,
      ours: figure(times[0], 's'),
      against: 'a container that runs `node -e 0`',
      base: figure(times[1], 's'),
      ratio: ratioOf(...times),
    });
  }
  await engine.docker('rm', bare);
  return rows;
}

async function startMs(engine: DockerEngine, service: string, container: Container | undefined): Promise<number> {
  const { id, address } = container ?? { id: '', address: '' };
  await engine.docker('stop', id);
  const ready = async (): Promise<boolean> =>
    (await fetch(`http://${address}:${service === 'api' ? 3000 : 9464}/readyz`, { signal: AbortSignal.timeout(1_000) })).ok;
  return timeMs(async () => {
    await engine.docker('start', id);
    await eventually(ready, { what: `${service} is ready`, timeoutMs: 60_000, everyMs: 20 });
  });
}

async function measureSize(engine: DockerEngine): Promise<Row> {
  const megabytes = async (image: string): Promise<number[]> => [
    Number(await engine.docker('image', 'inspect', '--format', '{{.Size}}', image)) / 1e6,
  ];
  const [ours, base] = [await megabytes('orion:local'), await megabytes('debian:bookworm-slim')];
  return {
    what: 'size of the image',
    ours: figure(ours, 'MB'),
    against: 'its base, Debian',
    base: figure(base, 'MB'),
    ratio: ratioOf(ours, base),
  };
}

/** @param cold seconds of the cold start of an API */
async function measureScaling({ short, say }: BenchRun, { engine, cold }: { engine: DockerEngine; cold: number }): Promise<Row> {
  const seconds: number[] = [];
  for (let round = 0; round < (short ? 1 : 3); round += 1) {
    const lab = createLab();
    try {
      const stack = await startStack(lab, { engine, settings: SCALING, scale: { api: 1, scheduler: 1 } });
      const { token } = await signUp(lab, stack, 'ada');
      const begunAt = systemClock.monotonicMs();
      const load = startLoad({
        url: stack.httpsUrl,
        ca: readFileSync(stack.caFile, 'utf8'),
        requests: [{ method: 'GET', path: '/api/me', token }],
        width: 24,
      });
      const served = async (): Promise<boolean> => {
        const [, second] = await stack.containers('api');
        return second !== undefined && (await countServed(second, '/api/me')) > 0;
      };
      await eventually(served, { what: 'a new replica serves', timeoutMs: 120_000, everyMs: 100 });
      seconds.push((systemClock.monotonicMs() - begunAt) / 1000);
      await load.stop();
    } finally {
      await lab.close();
    }
  }
  say(`from load to served by a new replica: ${seconds.map((each) => each.toFixed(1)).join(', ')} s`);
  const base = seconds.map(() => cold);
  return {
    what: 'from load to served by a new replica',
    ours: figure(seconds, 's'),
    against: 'the cold start of an API',
    base: figure(base, 's'),
    ratio: ratioOf(seconds, base),
  };
}
