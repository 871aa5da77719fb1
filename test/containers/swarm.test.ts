import { beforeAll, expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeStack, type DockerEngine, eventually, openDocker, projectDir, run, runOrThrow, type Stack, testConstants } from '../lab';
import { useLab } from '../support/hooks';
import { startLoad } from './support/load';
import { signUp } from './support/people';

/** As in autoscaling.test.ts, where the defaults stand beside them. */
const SETTINGS = {
  ORION_SCALE_API_MAX: '3',
  ORION_SCALE_TARGET_PERCENT: '30',
  ...testConstants({ scaleIntervalSeconds: 2, scaleStabilisationSeconds: 10, scaleCooldownSeconds: 4 }),
};

const lab = useLab();
let engine: DockerEngine;
let stack: Stack;

/** Of the API, running now. */
const tasks = async (): Promise<string[]> =>
  (await engine.docker('ps', '-q', '--filter', `label=com.docker.swarm.service.name=${stack.project}_api`, '--filter', 'health=healthy'))
    .split('\n')
    .filter((id) => id !== '');

beforeAll(async () => {
  engine = await openDocker(lab);
  await engine.docker('swarm', 'init', '--advertise-addr', '127.0.0.1');
  lab.push('swarm', () => engine.docker('swarm', 'leave', '--force').then(() => undefined), 60_000);
  stack = await describeStack(lab, { engine, settings: SETTINGS });
  await runOrThrow(join(projectDir, 'scripts', 'init-secrets.sh'), [stack.env['ORION_SECRETS_DIR'] ?? ''], { env: stack.env });
  const env = { ...stack.env, ORION_API_REPLICAS: '1', ORION_SCHEDULER_REPLICAS: '1' };
  const file = stack.keep('stack.yaml', await runOrThrow(join(projectDir, 'scripts', 'make-stack.sh'), [], { env }));
  await engine.docker('stack', 'deploy', '--compose-file', file, stack.project);
  const caddy = async (): Promise<string> => {
    const [id] = (await engine.docker('ps', '-q', '--filter', `label=com.docker.swarm.service.name=${stack.project}_caddy`)).split('\n');
    return (await run('docker', ['exec', id ?? '', 'cat', '/data/caddy/pki/authorities/local/root.crt'], { env: stack.env })).stdout;
  };
  writeFileSync(stack.caFile, await eventually(caddy, { what: 'Caddy has a certificate', timeoutMs: 180_000, everyMs: 500 }));
  await eventually(async () => (await tasks()).length === 1, { what: 'one API is healthy', timeoutMs: 180_000, everyMs: 500 });
}, 900_000);

it('R31: on a swarm, real load brings a second API within a minute; after the load it goes, and no request fails', async () => {
  const { token } = await eventually(() => signUp(lab, stack, 'ada'), { what: 'the proxy answers', timeoutMs: 60_000, everyMs: 500 });
  const load = {
    url: stack.httpsUrl,
    ca: readFileSync(stack.caFile, 'utf8'),
    requests: [{ method: 'GET' as const, path: '/api/me', token }],
  };
  const heavy = startLoad({ ...load, width: 24 });
  await eventually(async () => (await tasks()).length > 1, { what: 'a second API is healthy', timeoutMs: 60_000, everyMs: 500 });
  const served = async (id: string): Promise<boolean> => {
    const script = "fetch('http://127.0.0.1:9464/metrics').then((answer) => answer.text()).then((text) => console.log(text))";
    return /^orion_http_request_duration_seconds_count\{[^}]*route="\/api\/me"[^}]*\} \d\d/m.test(
      await engine.docker('exec', id, 'node', '-e', script),
    );
  };
  await eventually(async () => (await Promise.all((await tasks()).map(served))).every(Boolean), {
    what: 'both serve',
    timeoutMs: 30_000,
    everyMs: 500,
  });
  expect((await heavy.stop()).failures).toEqual([]);

  const light = startLoad({ ...load, width: 2, pauseMs: 100 });
  const gone = async (): Promise<boolean> =>
    (await engine.docker('ps', '-q', '--filter', `label=com.docker.swarm.service.name=${stack.project}_api`)).trim().split('\n').length ===
    1;
  await eventually(gone, { what: 'one API is left', timeoutMs: 180_000, everyMs: 500 });
  expect((await light.stop()).failures).toEqual([]);
}, 300_000);
