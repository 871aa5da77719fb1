import { readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { type Lab, startMariaDb } from '../../../test/lab';
import { createClient } from '../api';
import { check, checkEqual, type Narrator } from '../narrator';
import { logIn } from '../person';
import { type Stage, until } from '../stage';
import { createControlPlane, readCounter, startProxy } from '../system';

const SERVED = 'orion_http_request_duration_seconds_count';

/** Database, two APIs and two schedulers behind Caddy; then a third API. */
export async function startUp(lab: Lab, narrator: Narrator): Promise<Stage> {
  narrator.chapter('Start-up and scaling');
  narrator.note('Orion runs faster here than by default, for the show: it looks after machines every 2 s instead of every 30 s.');
  const database = await narrator.step('a database of its own is started (MariaDB)', () => startMariaDb(lab));
  const plane = await createControlPlane(lab, database);
  await narrator.step('its tables are made (orion migrate up)', () => plane.orion(['migrate', 'up']));
  const operatorPassword = randomBytes(9).toString('base64url');
  await narrator.step('the first operator gets an account (orion admin create)', () =>
    plane.orion(['admin', 'create', 'operator', '--password-stdin'], `${operatorPassword}\n`));
  await narrator.step('two APIs and two schedulers are started', () =>
    Promise.all([plane.startApi(0), plane.startApi(1), plane.startScheduler(), plane.startScheduler()]));
  const proxy = await narrator.step('Caddy is put in front: the single way in, https for people, http for machines', () => startProxy(lab, plane.ports));

  const ca = readFileSync(proxy.caFile, 'utf8');
  const visitor = createClient(proxy.httpsUrl, { ca });
  const operator = await narrator.step('the operator logs in through Caddy', () => logIn(visitor, 'operator', operatorPassword));
  const stage: Stage = { lab, narrator, plane, proxy, visitor, operator, operatorPassword };
  await narrator.step('waiting until both APIs have answered requests', () => untilAllServe(stage), () => 'both APIs answer: any of them serves any request');
  await narrator.step('plain http leads people to https, and what is for the inside stays inside', () => checkDoors(stage));
  await narrator.step('scaling: a third API is started, and Caddy gives it work without a restart', async () => {
    await plane.startApi(2);
    await untilAllServe(stage);
  });
  return stage;
}

/** Asks until each replica has answered something since now. */
async function untilAllServe({ plane, operator }: Stage): Promise<void> {
  const served = (): Promise<number[]> => Promise.all(plane.apis.map((api) => readCounter(api, SERVED, '/api/me')));
  const before = await served();
  const askOnce = async (): Promise<boolean> => {
    await Promise.all(Array.from({ length: 6 }, async () => checkEqual((await operator.get('/api/me')).status, 200, 'the status of an answer')));
    return (await served()).every((count, index) => count > (before[index] ?? 0));
  };
  await until(askOnce, { what: 'every API has answered' });
}

async function checkDoors({ proxy, visitor }: Stage): Promise<void> {
  const door = createClient(proxy.httpUrl);
  const led = await door.get('/api/nodes');
  check(led.status === 308 && led.header('Location')?.startsWith('https://') === true, 'http leads to https');
  checkEqual((await door.post('/api/login', {})).status, 308, 'the answer to a login over plain http');
  checkEqual((await door.post('/api/workers/heartbeat', {})).status, 401, 'the answer to an agent without a credential');
  checkEqual((await visitor.get('/metrics')).status, 404, 'the answer to a stranger who wants figures');
  check((await visitor.get('/livez')).header('Strict-Transport-Security') !== undefined, 'browsers are told to keep to https');
}
