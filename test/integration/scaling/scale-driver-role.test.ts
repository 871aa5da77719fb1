import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadScaleDriverConfig } from '../../../src/config/scale-driver';
import { systemClock } from '../../../src/lib/clock';
import { silentLogger } from '../../../src/lib/logger';
import { createRemoteDriver, type RemoteDriver } from '../../../src/modules/scaling';
import type { RunningRole } from '../../../src/roles/role';
import { startScaleDriver } from '../../../src/roles/scale-driver';
import { eventually, freePort } from '../../lab';

let dir: string;
let engine: Server | undefined;
let stopping: AbortController;
let started: Promise<RunningRole> | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'orion-scale-driver-'));
  stopping = new AbortController();
});
afterEach(async () => {
  stopping.abort();
  await (await started)?.stop();
  engine?.closeAllConnections();
  engine?.close();
  [started, engine] = [undefined, undefined];
  rmSync(dir, { recursive: true });
});

/** The role in this process, at an engine that may not be there. */
async function start(settings: Record<string, string> = {}): Promise<RemoteDriver> {
  const port = await freePort();
  const own = { ORION_HTTP_HOST: '127.0.0.1', ORION_HTTP_PORT: String(port) };
  const config = loadScaleDriverConfig({ ...own, ORION_DOCKER_SOCKET: join(dir, 'docker.sock'), ...settings });
  started = startScaleDriver(config, { logger: silentLogger, clock: systemClock }, stopping.signal);
  return createRemoteDriver(`http://127.0.0.1:${port}`);
}

/** A socket that answers as an engine without containers does. Gives the requests that it got. */
async function startEngine(): Promise<string[]> {
  const requests: string[] = [];
  engine = createServer(({ method = '', url = '' }, res) => {
    requests.push(`${method} ${url.split('?')[0] ?? ''}`);
    const known = url.startsWith('/_ping') ? 'OK' : url.startsWith('/containers/json') ? '[]' : undefined;
    res.writeHead(known === undefined ? 404 : 200, { 'Content-Type': 'application/json' }).end(known ?? '{"message":"there is none"}');
  });
  await new Promise<void>((resolve) => engine?.listen(join(dir, 'docker.sock'), resolve));
  return requests;
}

describe('R31: the role scale-driver', () => {
  it('waits for its engine with a reason, is ready when the engine is there, and unready when it is gone', async () => {
    const driver = await start({ ORION_SCALE_PROJECT: 'shop' });
    const noSocket = 'Docker does not answer: the connection failed with ENOENT';
    await eventually(async () => (await driver.whyNotReady())?.includes(noSocket), { what: 'it has a reason' });
    await expect(driver.inspect('api')).rejects.toThrow('refused with status 503: The scale driver is not ready: Docker does not answer');
    await startEngine();
    await eventually(async () => (await driver.whyNotReady()) === null, { what: 'it is ready' });
    expect(await driver.inspect('api')).toEqual({ actual: 0, obstacle: 'no_replica', replicas: [] });
    engine?.closeAllConnections();
    engine?.close();
    expect(await driver.whyNotReady()).toContain('the scale driver is not ready: Docker does not answer');
  });

  it('outside of a container it requires the setting of the project', async () => {
    await startEngine();
    const driver = await start();
    await eventually(async () => (await driver.whyNotReady())?.includes('set ORION_SCALE_PROJECT'), { what: 'it has a reason' });
  });

  it('stops while it waits', async () => {
    const driver = await start();
    await eventually(async () => (await driver.whyNotReady())?.includes('Docker does not answer'), { what: 'it listens' });
    stopping.abort();
    await (await started)?.stop();
    expect(await driver.whyNotReady()).toContain('the scale driver does not answer');
  });

  it('A9: sends nothing to Docker for a step that it refuses, and looks before a step that it does not', async () => {
    const requests = await startEngine();
    const driver = await start({ ORION_SCALE_PROJECT: 'shop', ORION_SCALE_API_MAX: '3' });
    await eventually(async () => (await driver.whyNotReady()) === null, { what: 'it is ready' });
    requests.length = 0;
    const tooMany = 'refused with status 422: 4 replicas are more than ORION_SCALE_API_MAX of the scale driver, 3.';
    await expect(driver.scale('api', { from: 3, to: 4 })).rejects.toThrow(tooMany);
    await expect(driver.scale('api', { from: 1, to: 0 })).rejects.toThrow('refused with status 422');
    expect(requests).toEqual([]);
    const changed = 'refused with status 409: api has changed: 0 replicas, no_replica';
    await expect(driver.scale('api', { from: 2, to: 3 })).rejects.toThrow(changed);
    expect(requests).toEqual(['GET /containers/json']);
  });
});
