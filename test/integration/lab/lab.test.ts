import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createLab, eventually, freePort, projectDir, startCaddy, startProcess, type Caddy } from '../../lab';
import { close, useForEach } from '../../support/hooks';

const lab = useForEach(createLab, close);

describe('a lab', () => {
  it('ends its processes and deletes its folder when it closes', async () => {
    const child = startProcess(lab, { name: 'sleeper', command: 'sleep', args: ['1000'] });
    await lab.close();
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
    expect(existsSync(lab.dir)).toBe(false);
  });

  it('is cleaned up after kill -9 of the process that opened it: servers, workers, mounts and folders', async () => {
    const script = join(lab.dir, 'opener.mts');
    const told = join(lab.dir, 'told.json');
    writeFileSync(script, openerSource(told));
    const opener = startProcess(lab, { name: 'opener', command: process.execPath, args: ['--import', 'tsx', script], cwd: projectDir });
    await eventually(() => existsSync(told), { what: `the opener has everything up: ${opener.log()}`, timeoutMs: 30_000 });
    const { dir, sleeper, init } = JSON.parse(readFileSync(told, 'utf8')) as { dir: string; sleeper: number; init: number };
    await opener.kill9();
    const gone = (): boolean => !existsSync(dir) && !existsSync(`/proc/${sleeper}`) && !existsSync(`/proc/${init}`);
    await eventually(gone, { what: 'nothing of it is left', timeoutMs: 20_000 });
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(dir);
  }, 60_000);

  it('never gives the same port twice', async () => {
    const ports = await Promise.all(Array.from({ length: 50 }, freePort));
    expect(new Set(ports).size).toBe(50);
  });
});

describe('eventually', () => {
  it('says what it waited for and what went wrong last', async () => {
    const failing = (): never => {
      throw new Error('no such row');
    };
    await expect(eventually(failing, { what: 'the row is there', timeoutMs: 30 })).rejects.toThrow(
      'not within 30 ms: the row is there (no such row)',
    );
  });
});

describe('a private Caddy', () => {
  it('passes requests on over http, and over https with its own authority', async () => {
    const upstream = createServer((_, response) => response.end('behind'));
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    lab.push('upstream', () => closeServer(upstream));
    const caddy = await startCaddy(lab, { upstreams: [`127.0.0.1:${(upstream.address() as AddressInfo).port}`] });
    expect(await (await fetch(caddy.httpUrl)).text()).toBe('behind');
    expect(await getOverTls(caddy)).toBe('behind');
  }, 60_000);
});

function openerSource(told: string): string {
  return `
    import { writeFileSync, renameSync } from 'node:fs';
    import { createLab, launchWorkers, startProcess } from ${JSON.stringify(join(projectDir, 'test', 'lab', 'index.ts'))};
    const lab = createLab();
    const sleeper = startProcess(lab, { name: 'sleeper', command: 'sleep', args: ['1000'] });
    const fleet = await launchWorkers(lab, 1);
    const init = Number((await import('node:fs')).readFileSync(fleet.stateDir + '/worker-1/pid', 'utf8').split(' ')[0]);
    writeFileSync(${JSON.stringify(`${told}.new`)}, JSON.stringify({ dir: lab.dir, sleeper: sleeper.pid, init }));
    renameSync(${JSON.stringify(`${told}.new`)}, ${JSON.stringify(told)});
    setInterval(() => undefined, 1000);
  `;
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

function getOverTls(caddy: Caddy): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port: caddy.httpsPort,
      servername: 'localhost',
      headers: { host: `localhost:${caddy.httpsPort}` },
    };
    const call = request({ ...options, ca: readFileSync(caddy.caFile), agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve(body));
    });
    call.once('error', reject);
    call.end();
  });
}
