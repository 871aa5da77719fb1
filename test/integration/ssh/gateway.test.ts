import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import ssh2, { type Client, type ClientChannel, type ConnectConfig } from 'ssh2';
import type { Whereabouts } from '../../../src/ssh/gateway';
import { openTrap, type OpenTrap } from '../../chaos/rogue/traps';
import { eventually, generateSshKeyPair, type LabProcess, sshExec, type SshTarget } from '../../lab';
import { useForAll, useLab, useWorker } from '../../support/hooks';
import type { GatewayPlan } from './gateway-process';
import { startGatewayProcess } from './start-gateway-process';

const MIB = 1024 * 1024;
/** 512 connections that have yet to log in, and one that reads nothing: measured 150 MiB. */
const MEMORY_BOUND = 300 * MIB;
const TRAPS = ['endless-banner', 'banner-without-end-of-line', 'silent', 'garbage', 'login-without-end'];

const lab = useLab();
const worker = useWorker(lab, { agent: false });
let gateway: LabProcess;
let port = 0;
const ada = useForAll(() => generateSshKeyPair(lab.dir));
const eve = useForAll(() => generateSshKeyPair(lab.dir));
let hostKey = '';
const traps: OpenTrap[] = [];

const leaseOf = (trap: string): number => 100 + TRAPS.indexOf(trap);
const GOOD = 42;
const CHANGED = 43;

beforeAll(async () => {
  const [own, host] = await Promise.all([generateSshKeyPair(lab.dir), generateSshKeyPair(lab.dir)]);
  await worker.authorizeRoot(own.publicKey);
  const at = (target: { address: string; port: number; hostKey: string }): Whereabouts => ({
    state: 'present',
    generation: 1,
    nodeName: 'node',
    username: 'root',
    target: { nodeId: 1, address: target.address, port: target.port, hostKey: target.hostKey },
    endsInSeconds: 3600,
    homeAgeSeconds: null,
  });
  const key = ada.publicKey.split(' ').slice(0, 2).join(' ');
  hostKey = host.publicKey.split(' ').slice(0, 2).join(' ');
  for (const kind of TRAPS) {
    traps.push(await openTrap(lab, kind));
  }
  const changed = await openTrap(lab, 'command-without-end', { hostname: 'changed' });
  traps.push(changed);
  const plan: GatewayPlan = {
    settings: {
      hostKeys: [readFileSync(host.keyFile, 'utf8')],
      privateKey: readFileSync(own.keyFile, 'utf8'),
      forwarding: 'local',
      warnSeconds: [],
      maxConnectionsPerLease: 1000,
    },
    leases: {
      [GOOD]: { key, at: at(worker) },
      [CHANGED]: { key, at: at({ ...changed, hostKey }) },
      ...Object.fromEntries(TRAPS.map((kind, i) => [leaseOf(kind), { key, at: at(traps[i] as OpenTrap) }])),
    },
  };
  ({ process: gateway, port } = await startGatewayProcess(lab, plan));
}, 90_000);

const sockets: Socket[] = [];
const clients: Client[] = [];
afterEach(async () => {
  sockets.splice(0).forEach((socket) => socket.destroy());
  clients.splice(0).forEach((client) => client.destroy());
  // Whatever was done to it, it serves the next one, and it is the process that it was.
  expect(await sshExec(target(), 'echo served')).toMatchObject({ code: 0, stdout: 'served\n' });
  expect(gateway.running()).toBe(true);
  expect(memory('VmHWM')).toBeLessThan(MEMORY_BOUND);
}, 30_000);

const target = (lease = GOOD, { keyFile } = ada): SshTarget => ({ address: '127.0.0.1', port, user: `lease-${lease}`, keyFile, hostKey });
const memory = (what: 'VmHWM' | 'VmRSS'): number =>
  Number(new RegExp(`${what}:\\s+(\\d+)`).exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;

function knock(localAddress: string): Socket {
  const socket = connect({ host: '127.0.0.1', port, localAddress, allowHalfOpen: true });
  sockets.push(socket.on('error', () => undefined).resume());
  return socket;
}
const untilAllClosed = (): Promise<boolean> =>
  eventually(() => sockets.every(({ closed, readableEnded }) => closed || readableEnded), {
    what: 'every connection is closed',
    timeoutMs: 25_000,
  });

async function logIn(config: ConnectConfig = {}): Promise<Client> {
  const client = new ssh2.Client();
  clients.push(client);
  const ready = new Promise((resolve, reject) =>
    client
      .once('ready', () => resolve(undefined))
      .once('error', reject)
      .once('close', () => reject(new Error('closed'))),
  );
  client.on('error', () => undefined);
  client.connect({
    host: '127.0.0.1',
    port,
    username: `lease-${GOOD}`,
    privateKey: readFileSync(ada.keyFile),
    localAddress: '127.0.0.2',
    ...config,
  });
  await ready;
  return client;
}
const closed = (client: Client): Promise<void> => new Promise((resolve) => client.once('close', () => resolve()));
const exec = (client: Client, command: string): Promise<ClientChannel> =>
  new Promise((resolve, reject) =>
    client.exec(command, (error, channel) => (error ? reject(error) : resolve(channel.on('error', () => undefined)))),
  );

interface Inside {
  _sock: Socket;
  _protocol: { session(channel: number, window: number, packetBytes: number): void; ping(): void };
}
/** What the library keeps to itself: how a client misbehaves. */
const inside = (client: Client): Inside => client as unknown as Inside;
function grant(client: Client, windowBytes: number, packetBytes: number): void {
  const { _protocol: protocol } = inside(client);
  const original = protocol.session.bind(protocol);
  protocol.session = (channel) => original(channel, windowBytes, packetBytes);
}

describe('strangers at the gateway', () => {
  it('10,000 that never say who they are: a login works among them, and few of them are kept', async () => {
    for (let i = 0; i < 10_000; i++) {
      knock(`127.1.${Math.floor(i / 100)}.1`);
      if (i % 500 === 499) {
        await eventually(() => sockets.slice(-500).every(({ connecting }) => !connecting), { what: 'they are there' });
      }
      if (i === 5_000) {
        expect(await sshExec(target(), 'true')).toMatchObject({ code: 0 });
      }
    }
    expect(await sshExec(target(), 'true')).toMatchObject({ code: 0 });
    await eventually(() => sockets.filter(({ closed, readableEnded }) => !closed && !readableEnded).length <= 512, {
      what: 'few of them are left',
      timeoutMs: 25_000,
    });
  }, 90_000);

  it('a greeting without end, in lines or not, is cut at once; a slow one after a while', async () => {
    for (const chunk of ['x'.repeat(600), 'no SSH here\r\n'.repeat(50)]) {
      const socket = knock('127.0.3.1');
      const pour = setInterval(() => socket.write(chunk), 5);
      await eventually(() => socket.closed || socket.readableEnded, { what: 'it is cut', timeoutMs: 5_000 });
      clearInterval(pour);
    }
    const slow = knock('127.0.3.1');
    const drip = setInterval(() => slow.write('S'), 1_000);
    await untilAllClosed();
    clearInterval(drip);
  }, 40_000);

  it("ways in that are none: password, keyboard, none, a wrong signature, another's key", async () => {
    const attempts: ConnectConfig[] = [
      { password: 'x', authHandler: ['password'] },
      { tryKeyboard: true, authHandler: ['keyboard-interactive'] },
      { authHandler: ['none'] },
      { privateKey: readFileSync(eve.keyFile) },
      { username: 'lease-7' },
      { username: 'root' },
    ];
    for (const attempt of attempts) {
      await expect(logIn({ ...attempt, localAddress: '127.0.4.1' })).rejects.toThrow(/authentication|configured/i);
    }
    // Ada's public key, signed with Eve's private one.
    const [mine, other] = [ssh2.utils.parseKey(readFileSync(ada.keyFile)), ssh2.utils.parseKey(readFileSync(eve.keyFile))];
    if (mine instanceof Error || other instanceof Error) {
      throw new Error('the keys cannot be read');
    }
    mine.sign = other.sign.bind(other);
    await expect(
      logIn({
        privateKey: undefined as never,
        authHandler: [{ type: 'publickey', username: `lease-${GOOD}`, key: mine } as never],
        localAddress: '127.0.4.1',
      }),
    ).rejects.toThrow();
  }, 30_000);

  it('who fails again and again is no longer listened to, and nobody else is shut out by that', async () => {
    const from = '127.0.5.1';
    let refused = 0;
    for (let i = 0; i < 45 && refused === 0; i++) {
      await logIn({ privateKey: readFileSync(eve.keyFile), localAddress: from }).catch((error: unknown) => {
        refused += /authentication/i.test(String(error)) ? 0 : 1;
      });
    }
    expect(refused).toBe(1);
    await expect(logIn({ localAddress: from })).rejects.toThrow();
    await logIn();
  }, 60_000);
});

describe('guests of the gateway who misbehave', () => {
  it('packets of no bytes, for which a library would cut data for ever, or of one byte', async () => {
    for (const packetBytes of [0, 1]) {
      const client = await logIn();
      grant(client, 0xff_ff_ff_ff, packetBytes);
      await new Promise<void>((resolve) => {
        client.exec('head -c 1000000 /dev/zero', (error, channel) => (error ? resolve() : channel.once('close', () => resolve()).resume()));
      });
    }
  }, 30_000);

  it('one who grants gigabytes, asks for one and reads nothing', async () => {
    const client = await logIn();
    grant(client, 0xff_ff_ff_ff, 32_768);
    await exec(client, 'head -c 1000000000 /dev/zero');
    inside(client)._sock.pause();
    let before = -1;
    await eventually(
      () => {
        const now = memory('VmRSS');
        const still = Math.abs(now - before) < MIB;
        before = now;
        return still;
      },
      { what: 'nothing more is piled up', everyMs: 1_000, timeoutMs: 20_000 },
    );
  }, 40_000);

  it('requests without end, and no ear for the answers', async () => {
    const client = await logIn();
    const { _sock: socket, _protocol: protocol } = inside(client);
    socket.pause();
    // Far more than what the sockets on the way hold.
    for (let i = 0; i < 600 && !socket.destroyed; i++) {
      for (let n = 0; n < 1_000; n++) {
        protocol.ping();
      }
      await eventually(() => socket.destroyed || socket.writableLength < 4 * MIB, { what: 'they are taken', timeoutMs: 15_000 });
    }
  }, 60_000);

  it('a thousand channels, ten thousand variables, a command of a mebibyte', async () => {
    const client = await logIn();
    const opened = await Promise.all(
      Array.from({ length: 1_000 }, () =>
        exec(client, 'sleep 60').then(
          () => 1,
          () => 0,
        ),
      ),
    );
    expect(opened.reduce<number>((sum, one) => sum + one, 0)).toBe(10);
    const second = await logIn();
    const environment = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`V${i}`, 'x'.repeat(100)]));
    const answer = await new Promise<string>((resolve, reject) => {
      second.exec('echo done', { env: environment }, (error, channel) =>
        error ? reject(error) : channel.once('data', (data: Buffer) => resolve(data.toString())),
      );
    });
    expect(answer).toBe('done\n');
    const third = await logIn();
    const end = closed(third);
    await exec(third, 'x'.repeat(MIB)).catch(() => undefined);
    await end;
  }, 60_000);

  it('forwardings that are opened and left', async () => {
    for (let round = 0; round < 5; round++) {
      const client = await logIn();
      const results = Array.from(
        { length: 300 },
        () => new Promise<boolean>((resolve) => client.forwardOut('127.0.0.1', 1, '127.0.0.1', 22_222, (error) => resolve(!error))),
      );
      client.forwardIn('127.0.0.1', 0, () => undefined);
      if (round < 4) {
        // In the middle of it.
        await exec(client, 'true').catch(() => undefined);
        client.destroy();
      }
      await Promise.all(results);
    }
  }, 40_000);
});

describe('machines behind a lease that are traps', () => {
  it.each(TRAPS)(
    '%s: the gateway session waits and its client may end it, other sessions go on',
    async (kind) => {
      const session = sshExec(target(leaseOf(kind)), 'cat', { input: 'my secret', timeoutMs: 4_000 });
      await eventually(() => (traps[TRAPS.indexOf(kind)]?.caught() ?? 0) > 0, { what: 'the gateway has tried' });
      expect(await sshExec(target(), 'echo other')).toMatchObject({ code: 0 });
      expect((await session).code).toBeNull();
    },
    30_000,
  );

  it('another host key: nothing is said to it, and it is tried again', async () => {
    const trap = traps.at(-1);
    expect((await sshExec(target(CHANGED), 'cat', { input: 'my secret', timeoutMs: 4_000 })).code).toBeNull();
    expect(trap?.caught()).toBeGreaterThan(1);
    expect(trap?.admitted()).toBe(0);
  }, 30_000);
});
