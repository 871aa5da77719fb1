import { beforeAll, expect, it } from '@jest/globals';
import { systemClock } from '../../src/lib/clock';
import { type DockerEngine, eventually, freePort, openDocker, type OrionProcess, startOrion, testConstants } from '../lab';
import { row } from '../support/database';
import { useLab, useTestDatabase } from '../support/hooks';

const LIMIT_SECONDS = 6;
/** Until the metrics of a process on a busy machine tell. */
const SLACK_SECONDS = 2;

const lab = useLab();
let docker: DockerEngine;
const database = useTestDatabase();
let driver: OrionProcess;
beforeAll(async () => {
  docker = await openDocker(lab);
  driver = await startDriver(await freePort());
}, 3_600_000);

/** Over a project that nobody has. Nothing but the socket is given to it. */
async function startDriver(port: number): Promise<OrionProcess> {
  return startOrion(lab, 'scale-driver', {
    port,
    env: {
      ORION_HTTP_HOST: '127.0.0.1',
      ORION_HTTP_PORT: String(port),
      ORION_DOCKER_SOCKET: docker.host.replace('unix://', ''),
      ORION_SCALE_PROJECT: 'orion-nobody',
    },
  });
}

/** It may look and lead, and finds nothing to change. No key of the control plane and no Docker socket is given to it. */
async function startAutoscaler(driverUrl = driver.url): Promise<OrionProcess> {
  const port = await freePort();
  const { access } = database;
  return startOrion(lab, 'autoscaler', {
    port,
    env: {
      ORION_DB_HOST: access.host,
      ORION_DB_PORT: String(access.port),
      ORION_DB_USER: access.user,
      ORION_DB_PASSWORD: access.password,
      ORION_DB_NAME: access.database,
      ORION_OPS_HOST: '127.0.0.1',
      ORION_OPS_PORT: String(port),
      ORION_SCALE_DRIVER_URL: driverUrl,
      ...testConstants({ scaleIntervalSeconds: 0.5, scaleLeaderSeconds: LIMIT_SECONDS }),
    },
  });
}

const leads = async ({ url }: OrionProcess): Promise<boolean> =>
  (await (await fetch(`${url}/metrics`)).text()).includes('\norion_scale_leads 1\n');
const leader = async (): Promise<string | null> => (await row<{ token: string | null }>(database.db, 'SELECT token FROM leaders')).token;
const untilLeading = (one: OrionProcess): Promise<boolean> =>
  eventually(() => leads(one), { what: 'it leads', timeoutMs: 30_000, everyMs: 50 });

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
  await third.stop();
}, 180_000);

it('A9: an autoscaler waits for its scale driver and reports why, and lives on when the driver is gone', async () => {
  const port = await freePort();
  const waiting = startAutoscaler(`http://127.0.0.1:${port}`);
  await systemClock.sleep(2_000);
  const late = await startDriver(port);
  const autoscaler = await waiting;
  expect(autoscaler.log()).toContain('the scale driver does not answer: ');
  await untilLeading(autoscaler);
  await late.kill9();
  await eventually(() => autoscaler.log().includes('loop pass failed'), { what: 'it misses the driver', timeoutMs: 30_000 });
  expect([autoscaler.running(), await leads(autoscaler)]).toEqual([true, true]);
}, 120_000);
