import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { systemClock } from '../../src/lib/clock';
import { createLab, type DockerEngine, eventually, freePort, type Lab, openDocker, type OrionProcess, startOrion } from '../lab';
import { openTestDatabase, row, type TestDatabase } from '../support/database';

const LIMIT_SECONDS = 6;
/** Until the metrics of a process on a busy machine tell. */
const SLACK_SECONDS = 2;

let lab: Lab;
let docker: DockerEngine;
let database: TestDatabase;
beforeAll(async () => {
  lab = createLab();
  docker = await openDocker(lab);
  database = await openTestDatabase();
}, 3_600_000);
afterAll(async () => {
  await lab.close();
  await database.close();
}, 180_000);

/** Over a project that nobody has: it may look and lead, and finds nothing to change. No key of the control plane is given to it. */
async function startAutoscaler(): Promise<OrionProcess> {
  const port = await freePort();
  const { access } = database;
  return startOrion(lab, 'autoscaler', {
    port,
    env: {
      ORION_DB_HOST: access.host, ORION_DB_PORT: String(access.port), ORION_DB_USER: access.user, ORION_DB_PASSWORD: access.password, ORION_DB_NAME: access.database,
      ORION_OPS_HOST: '127.0.0.1', ORION_OPS_PORT: String(port), ORION_DOCKER_SOCKET: docker.host.replace('unix://', ''), ORION_SCALE_PROJECT: 'orion-nobody',
      ORION_SCALE_INTERVAL_SECONDS: '0.5', ORION_SCALE_LEADER_SECONDS: String(LIMIT_SECONDS),
    },
  });
}

const leads = async ({ url }: OrionProcess): Promise<boolean> => (await (await fetch(`${url}/metrics`)).text()).includes('\norion_scale_leads 1\n');
const leader = async (): Promise<string | null> => (await row<{ token: string | null }>(database.db, 'SELECT token FROM leaders')).token;
const untilLeading = (one: OrionProcess): Promise<boolean> => eventually(() => leads(one), { what: 'it leads', timeoutMs: 30_000, everyMs: 50 });

it('R31: of two autoscalers one leads; another takes over within the limit when it is killed, and at once when it is stopped', async () => {
  const first = await startAutoscaler();
  await untilLeading(first);
  const second = await startAutoscaler();
  expect(await leads(second)).toBe(false);

  const killedAt = systemClock.monotonicMs();
  await first.kill9();
  await untilLeading(second);
  expect(systemClock.monotonicMs() - killedAt).toBeLessThan((LIMIT_SECONDS + SLACK_SECONDS) * 1000);

  const third = await startAutoscaler();
  expect([await leads(second), await leads(third)]).toEqual([true, false]);
  const held = await leader();
  expect(await second.stop()).toMatchObject({ code: 0 });
  expect(await leader()).not.toBe(held);
  await untilLeading(third);
  await eventually(() => third.log().includes('no_replica'), { what: 'it looks at the services' });
}, 180_000);
