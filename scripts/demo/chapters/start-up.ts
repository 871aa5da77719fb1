import { readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import type { Lab } from '../../../test/lab';
import { createClient } from '../api';
import { check, checkEqual, type Narrator } from '../narrator';
import { logIn } from '../person';
import { type Stage, until } from '../stage';
import { readCounter, type World } from '../world';

const SERVED = 'orion_http_request_duration_seconds_count';

/** Database, two APIs and two schedulers behind Caddy; then a third API. */
export async function startUp(world: World, lab: Lab, narrator: Narrator): Promise<Stage> {
  narrator.chapter('Start-up and scaling');
  narrator.note('Orion runs faster here than by default, for the show: it looks after machines every 2 s instead of every 30 s.');
  const operatorAccount = { username: 'operator', password: randomBytes(9).toString('base64url') };
  const plane = await world.startUp(lab, narrator, operatorAccount);

  const anonymous = createClient(plane.proxy.httpsUrl, { ca: readFileSync(plane.proxy.caFile, 'utf8') });
  const operator = await narrator.step('the operator logs in through Caddy', () =>
    logIn(anonymous, operatorAccount.username, operatorAccount.password),
  );
  const stage: Stage = { lab, narrator, world, plane, anonymous, operator, operatorAccount };
  await narrator.step(
    'waiting until both APIs have answered requests',
    () => untilAllServe(stage),
    () => 'both APIs answer: any of them serves any request',
  );
  await narrator.step('plain http leads people to https, and what is for the inside stays inside', () => checkProxy(stage));
  await narrator.step('scaling: a third API is started, and Caddy gives it work without a restart', async () => {
    await plane.addApi();
    await untilAllServe(stage);
  });
  return stage;
}

/** Asks until each replica has answered something since now. */
async function untilAllServe({ plane, operator }: Stage): Promise<void> {
  const served = (): Promise<number[]> => Promise.all(plane.apis.map((api) => readCounter(api, SERVED, '/api/me')));
  const before = await served();
  const askOnce = async (): Promise<boolean> => {
    await Promise.all(
      Array.from({ length: 6 }, async () => checkEqual((await operator.get('/api/me')).status, 200, 'the status of an answer')),
    );
    return (await served()).every((count, index) => count > (before[index] ?? 0));
  };
  await until(askOnce, { what: 'every API has answered' });
}

async function checkProxy({ plane: { proxy }, anonymous }: Stage): Promise<void> {
  const plainClient = createClient(proxy.httpUrl);
  const led = await plainClient.get('/api/nodes');
  check(led.status === 308 && led.header('Location')?.startsWith('https://') === true, 'http leads to https');
  checkEqual((await plainClient.post('/api/login', {})).status, 308, 'the answer to a login over plain http');
  checkEqual((await plainClient.post('/api/workers/heartbeat', {})).status, 401, 'the answer to an agent without a credential');
  checkEqual((await anonymous.get('/metrics')).status, 404, 'the answer to a stranger who wants figures');
  check((await anonymous.get('/api/docs')).header('Strict-Transport-Security') !== undefined, 'browsers are told to keep to https');
}
