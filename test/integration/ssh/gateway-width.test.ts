import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import ssh2, { type Client, type ConnectConfig, type ServerChannel } from 'ssh2';
import type { Forwarding, Whereabouts } from '../../../src/ssh/gateway';
import { admitFullPackets } from '../../../src/ssh/gateway/ssh2-patch';
import {
  eventually,
  generateSshKeyPair,
  type LabProcess,
  run,
  runOrThrow,
  type RunResult,
  sshExec,
  sshOptions,
  type SshTarget,
  startProcess,
} from '../../lab';
import { useForAll, useLab, useWorker } from '../../support/hooks';
import { startGatewayProcess } from './start-gateway-process';

const KIB = 1024;
/** Served by a real sshd; by one that does not know the account; by a server of this process, for what no shell would run. */
const [GOOD, REFUSED, COUNTING] = [42, 43, 44];

afterAll(() => closers.forEach((close) => close()));
const lab = useLab();
const worker = useWorker(lab, { agent: false });
let gateway: LabProcess;
let ports: Record<Forwarding, number>;
const ada = useForAll(() => generateSshKeyPair(lab.dir));
let hostKey = '';
let direct: SshTarget;
const counting = { banner: 'a banner of a machine\n'.repeat(11_000) };
const clients: Client[] = [];

const port = (forwarding: Forwarding = 'local'): number => ports[forwarding];
const target = (lease = GOOD, { keyFile } = ada): SshTarget => ({
  address: '127.0.0.1',
  port: port(),
  user: `lease-${lease}`,
  keyFile,
  hostKey,
});
/** OpenSSH that tells more than `sshExec` has it tell, with other keys. */
function ssh(lease: number, options: Record<string, string>, ...command: string[]): Promise<RunResult> {
  const first = Object.entries({ ...options, LogLevel: 'INFO' }).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const rest = sshOptions(target(lease)).filter((word) => !word.startsWith('IdentityFile='));
  return run(
    'ssh',
    [...first, ...rest.filter((word, i) => !(word === '-o' && rest[i + 1] === '-o')), `lease-${lease}@127.0.0.1`, ...command],
    { timeoutMs: 15_000 },
  );
}
const memory = (): number => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))?.[1] ?? 0) * KIB;

/** A server in the place of a node that answers each command with its length, after a banner. */
async function startCounting(key: string): Promise<number> {
  const server = new ssh2.Server({ hostKeys: [key], banner: counting.banner }, (connection) => {
    connection
      .on('error', () => undefined)
      .on('authentication', (ctx) => ctx.accept())
      .on('ready', () => admitFullPackets(connection));
    connection.on('session', (accept) =>
      accept().on('exec', (take, _reject, { command }) => {
        const channel: ServerChannel = take();
        channel.write(String(command.length));
        channel.exit(0);
        channel.end();
      }),
    );
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', () => resolve()));
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}
const closers: (() => void)[] = [];

beforeAll(async () => {
  const [own, host] = await Promise.all([generateSshKeyPair(lab.dir), generateSshKeyPair(lab.dir)]);
  await worker.authorizeRoot(own.publicKey);
  direct = { address: worker.address, port: worker.port, hostKey: worker.hostKey, user: 'root', keyFile: own.keyFile };
  hostKey = host.publicKey.split(' ').slice(0, 2).join(' ');
  const key = ada.publicKey.split(' ').slice(0, 2).join(' ');
  const at = (
    username: string,
    { address, port: at, hostKey: pinned }: Pick<SshTarget, 'address' | 'port' | 'hostKey'> = worker,
  ): { key: string; at: Whereabouts } => ({
    key,
    at: {
      state: 'present',
      generation: 1,
      nodeName: 'node',
      username,
      target: { nodeId: 1, address, port: at, hostKey: pinned },
      endsInSeconds: 3600,
      homeAgeSeconds: null,
    },
  });
  const counter = await startCounting(readFileSync(host.keyFile, 'utf8'));
  const leases = {
    [GOOD]: at('root'),
    [REFUSED]: at('nobody-of-that-name'),
    [COUNTING]: at('counting', { address: '127.0.0.1', port: counter, hostKey }),
  };
  const settings = {
    hostKeys: [readFileSync(host.keyFile, 'utf8')],
    privateKey: readFileSync(own.keyFile, 'utf8'),
    warnSeconds: [],
    maxConnectionsPerLease: 1000,
  };
  const [none, local, all] = await Promise.all(
    (['none', 'local', 'all'] as const).map((forwarding) => startGatewayProcess(lab, { settings: { ...settings, forwarding }, leases })),
  );
  gateway = (local as { process: LabProcess }).process;
  ports = { none: none?.port ?? 0, local: local?.port ?? 0, all: all?.port ?? 0 };
}, 90_000);
afterEach(async () => {
  clients.splice(0).forEach((client) => client.destroy());
  // Whatever was done to it, it serves the next one, and it is the process that it was.
  expect(await sshExec(target(), 'echo served')).toMatchObject({ code: 0, stdout: 'served\n' });
  expect(gateway.running()).toBe(true);
});

async function logIn(config: ConnectConfig = {}): Promise<{ client: Client; broken: Promise<string> }> {
  const client = new ssh2.Client();
  clients.push(client);
  const broken = new Promise<string>((resolve) => client.on('error', ({ message }) => resolve(message)));
  const ready = new Promise((resolve, reject) => client.once('ready', () => resolve(undefined)).once('error', reject));
  client.connect({
    host: '127.0.0.1',
    port: port(),
    username: `lease-${GOOD}`,
    privateKey: readFileSync(ada.keyFile),
    strictVendor: false,
    ...config,
  });
  await ready;
  return { client, broken };
}
const exec = (client: Client, command: string): Promise<string> =>
  new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => {
      let output = '';
      if (error) {
        reject(error);
      } else {
        channel.on('data', (chunk: Buffer) => (output += chunk.toString())).once('close', () => resolve(output));
      }
    });
  });

describe('packets', () => {
  it('a command of 120 kB runs as it runs on the machine itself, with each cipher, and after new keys', async () => {
    const command = `printf %s ${'x'.repeat(120_000)} | sha256sum`;
    const { code, stdout } = await sshExec(direct, command);
    expect({ code, length: stdout.length }).toEqual({ code: 0, length: 68 });
    const ways = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes256-ctr'].flatMap((cipher) => [
      ['-c', cipher],
      ['-c', cipher, '-m', 'hmac-sha2-256', '-C'],
    ]);
    for (const args of [...ways, ['-o', 'RekeyLimit=16K']]) {
      expect(await sshExec(target(), command, { args })).toMatchObject({ code: 0, stdout });
    }
  }, 60_000);

  it('250 kB pass both ways: a command to the machine, and a banner from it', async () => {
    const { client } = await logIn({ username: `lease-${COUNTING}` });
    expect(counting.banner.length).toBeGreaterThan(240_000);
    expect(await exec(client, 'x'.repeat(250_000))).toBe('250000');
    // A real machine takes it, and its kernel does not run it.
    expect(await logIn().then(({ client: real }) => exec(real, 'x'.repeat(250_000)))).toBe('');
  }, 30_000);

  it('one over 256 KiB ends its own connection with a reason, and no other', async () => {
    const [bad, good] = [await logIn(), await logIn()];
    const lasting = exec(good.client, 'sleep 1; echo still here');
    exec(bad.client, 'x'.repeat(263_000)).catch(() => undefined);
    expect(await bad.broken).toMatch(/Bad packet length/);
    expect(await lasting).toBe('still here\n');
  }, 30_000);

  it('a client that has not logged in yet sends none over 35,000 bytes', async () => {
    await expect(logIn({ username: 'x'.repeat(30_000) })).rejects.toThrow(/authentication methods failed/);
    await expect(logIn({ username: 'x'.repeat(50_000) })).rejects.toThrow(/Bad packet length/);
  });

  it('one that unpacks to more than that ends the connection with a reason, and costs no memory', async () => {
    const before = memory();
    const { client, broken } = await logIn({ algorithms: { compress: ['zlib@openssh.com'] } });
    exec(client, '\0'.repeat(200 * KIB * KIB)).catch(() => undefined);
    expect(await broken).toMatch(/Output length exceeded/);
    expect(memory() - before).toBeLessThan(50 * KIB * KIB);
  }, 30_000);

  it('a command is bytes, in whatever encoding', async () => {
    const script = join(lab.dir, 'latin1.sh');
    const bytes = async ({ user, address, port: at, keyFile }: SshTarget): Promise<string> => {
      writeFileSync(
        script,
        Buffer.from(
          `ssh -F /dev/null -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i ${keyFile} -p ${at} ${user}@${address} "printf %s caf\xe9 | od -An -tx1"`,
          'latin1',
        ),
      );
      return runOrThrow('sh', [script]);
    };
    expect(await bytes(target())).toBe(await bytes(direct));
    expect(await bytes(direct)).toContain('e9');
  });
});

describe('requests in a session', () => {
  it('each that wants an answer gets one, also while a command runs and after the end of its input', async () => {
    const { client } = await logIn();
    const answers = await new Promise<boolean[]>((resolve, reject) => {
      client.exec('sleep 30', (error, channel) => {
        const inside = channel as unknown as {
          _callbacks: ((failed: boolean) => void)[];
          outgoing: { id: number };
          _client: { _protocol: Record<'x11Forward' | 'subsystem', (id: number, what: unknown, wantsAnswer: boolean) => void> };
        };
        const got: boolean[] = [];
        const ask = (): void => {
          inside._callbacks.push((failed) => {
            got.push(failed);
            if (got.length === 3) {
              resolve(got);
            }
          });
        };
        const { _protocol: protocol } = inside._client;
        const askForX11 = (): void => {
          ask();
          protocol.x11Forward(inside.outgoing.id, { protocol: 'MIT-MAGIC-COOKIE-1', cookie: 'c', screen: 0, single: false }, true);
        };
        if (error) {
          reject(error);
          return;
        }
        askForX11();
        ask();
        // A session runs one thing.
        protocol.subsystem(inside.outgoing.id, 'sftp', true);
        channel.end(askForX11);
      });
    });
    expect(answers).toEqual([true, true, true]);
  }, 10_000);

  it('the modes of a terminal arrive', async () => {
    const { client } = await logIn();
    const settings = await new Promise<string>((resolve, reject) => {
      client.exec('stty -a', { pty: { modes: { ECHO: 0, VERASE: 8 } } as never }, (error, channel) => {
        let output = '';
        if (error) {
          reject(error);
        } else {
          channel.on('data', (chunk: Buffer) => (output += chunk.toString())).once('close', () => resolve(output));
        }
      });
    });
    expect(settings).toMatch(/erase = \^H;[\s\S]* -echo /);
  });
});

describe('logins', () => {
  it('a client with twenty keys gets in by its last one; one with more is told the reason', async () => {
    const [socket, others] = [
      join(lab.dir, 'agent.sock'),
      await Promise.all(Array.from({ length: 20 }, () => generateSshKeyPair(lab.dir))),
    ];
    startProcess(lab, { name: 'ssh-agent', command: 'ssh-agent', args: ['-D', '-a', socket] });
    await eventually(() => existsSync(socket), { what: 'the agent runs' });
    const add = (files: string[]): Promise<string> =>
      runOrThrow('ssh-add', ['-q', ...files], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
    const byAgent = (): Promise<RunResult> =>
      ssh(GOOD, { IdentitiesOnly: 'no', IdentityAgent: socket, IdentityFile: '/dev/null' }, 'echo in');
    await add(others.slice(1).map(({ keyFile }) => keyFile));
    await add([ada.keyFile]);
    expect(await byAgent()).toMatchObject({ code: 0, stdout: 'in\n' });
    await runOrThrow('ssh-add', ['-q', '-D'], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
    await add([...others.map(({ keyFile }) => keyFile), ada.keyFile]);
    expect(await byAgent()).toMatchObject({
      code: 255,
      stderr: expect.stringMatching(/Too many authentication failures: .*IdentitiesOnly/),
    });
  }, 30_000);

  it('a machine that refuses the login ends the session within seconds, with the reason and the code of ssh itself', async () => {
    const began = performance.now();
    const [command, forwarded] = await Promise.all([
      sshExec(target(REFUSED), 'cat', { input: 'x' }),
      ssh(REFUSED, { IdentityFile: ada.keyFile }, '-W', '127.0.0.1:22'),
    ]);
    expect(command).toMatchObject({
      code: 255,
      stderr: expect.stringMatching(/\[orion\] node refuses the login of this lease's account nobody-of-that-name\. .*AllowUsers/),
    });
    expect(forwarded).toMatchObject({ code: 255, stderr: expect.stringContaining('refuses the login') });
    expect(performance.now() - began).toBeLessThan(10_000);
  }, 30_000);
});

describe('what the setting does not allow is refused with a reason', () => {
  const open = async (forwarding: Forwarding, how: (client: Client, done: (error?: Error) => void) => void): Promise<string> => {
    const { client } = await logIn({ port: port(forwarding) });
    return new Promise((resolve) => how(client, (error) => resolve(error?.message ?? 'open')));
  };
  const toPort = (host: string) => (client: Client, done: (error?: Error) => void) => client.forwardOut('127.0.0.1', 1, host, 9, done);
  const toSocket = (client: Client, done: (error?: Error) => void) => client.openssh_forwardOutStreamLocal('/run/none.sock', done);

  it.each([
    ['none', /=none: this gateway forwards nothing/],
    ['local', /the machine answers: .*open failed/],
    ['all', /the machine answers: .*open failed/],
  ] as const)('%s: UNIX sockets of the machine', async (forwarding, answer) => {
    expect(await open(forwarding, toSocket)).toMatch(answer);
  });

  it.each([
    ['none', '127.0.0.1', /=none/],
    ['local', '192.0.2.1', /=local: only/],
    ['local', '127.0.0.1', /refused/],
    ['all', '127.0.0.1', /refused/],
  ] as const)('%s: %s', async (forwarding, host, answer) => {
    expect(await open(forwarding, toPort(host))).toMatch(answer);
  });

  it.each([
    ['none', /Unable to bind/],
    ['local', /^open$/],
  ] as const)('%s: a UNIX socket on the machine that leads back, and is taken back', async (forwarding, answer) => {
    const path = `/tmp/gateway-width-${forwarding}.sock`;
    expect(
      await open(forwarding, (client, done) =>
        client.openssh_forwardInStreamLocal(path, (error) =>
          error ? done(error) : client.openssh_unforwardInStreamLocal(path, (failed) => done(failed ?? undefined)),
        ),
      ),
    ).toMatch(answer);
  });
});
