import { beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLab, eventually, launchWorkers, run, runOrThrow, type Worker, type WorkerFleet } from '../../lab';
import { useLab } from '../../support/hooks';

const TAKEN = 0;
/** Of `timeout`: neither taken nor refused. */
const SILENCE = 124;
const LIMIT_MS = 60_000;

/** For bash: dials, and says what the other side says first. */
const dial = (address: string, port: number, say = ''): string => `exec 3<>/dev/tcp/${address}/${port}; printf '${say}' >&3; head -n 1 <&3`;

describe.each(['routed', 'nat'] as const)('workers in a network of their own: %s', (network) => {
  const lab = useLab();
  let fleet: WorkerFleet;
  let worker: Worker;
  let port: number;
  const callers: (string | undefined)[] = [];
  const reachable = network === 'nat' ? SILENCE : TAKEN;

  const fromHost = async (expected: number): Promise<number | null> =>
    (await run('timeout', [secondsFor(expected), 'bash', '-c', dial(worker.address, worker.port)])).code;
  const toServer = async (expected: number): Promise<number | null> => {
    const command = dial(worker.address.replace(/\d+$/, '254'), port, 'GET / HTTP/1.0\\r\\n\\r\\n');
    return (await worker.exec(`timeout ${secondsFor(expected)} bash -c "${command}"`)).code;
  };

  beforeAll(async () => {
    const server = createServer((request, response) => {
      callers.push(request.socket.remoteAddress);
      response.end();
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    lab.push('server', () => void server.close());
    port = (server.address() as AddressInfo).port;
    fleet = await launchWorkers(lab, 2, { network, endpoint: `http://127.0.0.1:${port}`, agent: false });
    worker = fleet.workers[0] as Worker;
  }, LIMIT_MS);

  it(
    'reach the servers of the lab, which listen on 127.0.0.1',
    async () => {
      expect(await toServer(TAKEN)).toBe(TAKEN);
      expect(callers).toEqual(['127.0.0.1']);
    },
    LIMIT_MS,
  );

  it(
    network === 'nat' ? 'cannot be reached, though their sshd listens' : 'can be reached',
    async () => {
      expect((await worker.exec('ss -Hltn')).stdout).toContain(`${network === 'nat' ? '192.168.0.2' : worker.address}:2222`);
      expect(await fromHost(reachable)).toBe(reachable);
    },
    LIMIT_MS,
  );

  it.each(['in', 'out', 'both'] as const)(
    'can be cut off (%s), silently, and mended',
    async (what) => {
      await worker.cut(what);
      expect(await toServer(SILENCE)).toBe(SILENCE);
      expect(await fromHost(SILENCE)).toBe(SILENCE);
      await worker.mend();
      expect(await toServer(TAKEN)).toBe(TAKEN);
      expect(await fromHost(reachable)).toBe(reachable);
    },
    LIMIT_MS,
  );

  it(
    'come back in the same place after a power cut, and uncut',
    async () => {
      await worker.cut();
      await worker.kill();
      expect(await linksTo(`${worker.address}/`)).toBe('');
      await worker.start();
      expect(await toServer(TAKEN)).toBe(TAKEN);
      expect(await fromHost(reachable)).toBe(reachable);
    },
    LIMIT_MS,
  );

  it(
    'leave nothing on the host, and never put a rule there',
    async () => {
      const net = worker.address.replace(/\d+$/, '');
      const isOurs = (rule: string): boolean => rule.includes(net) || /-[io] (ow|eth0 -j DROP)/.test(rule);
      expect((await rulesOfHost()).filter(isOurs)).toEqual([]);
      await fleet.remove();
      expect(await linksTo(net)).toBe('');
    },
    LIMIT_MS,
  );
});

describe('a worker in a network of its own whose lab was killed', () => {
  it(
    'leaves no link behind',
    async () => {
      const watched = spawn('sleep', ['1000'], { stdio: 'ignore' });
      const lab = createLab({ watchedPid: watched.pid ?? 0 });
      const [worker] = (await launchWorkers(lab, 1, { network: 'nat' })).workers;
      const address = worker?.address ?? '';
      expect(await linksTo(`${address}/`)).not.toBe('');
      watched.kill('SIGKILL');
      await eventually(async () => (await linksTo(`${address}/`)) === '', { what: 'the link is gone', timeoutMs: 30_000 });
      await lab.close();
    },
    2 * LIMIT_MS,
  );
});

/** Success is waited for as long as it takes, silence is not. */
const secondsFor = (expected: number): string => (expected === SILENCE ? '1' : '20');

/** Ends of links that the host has to workers whose addresses begin so. */
async function linksTo(address: string): Promise<string> {
  const lines = await runOrThrow('ip', ['-o', '-4', 'addr']);
  return lines
    .split('\n')
    .filter((line) => line.includes(`peer ${address}`))
    .join('\n');
}

async function rulesOfHost(): Promise<string[]> {
  const tables = await Promise.all(['filter', 'nat', 'mangle'].map((table) => runOrThrow('iptables', ['-w', '-t', table, '-S'])));
  return tables.join('').split('\n');
}
