import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import ssh2, { type Connection, type ServerChannel } from 'ssh2';
import { eventually, generateSshKeyPair, type Lab } from '../../lab';
import { enrolMachine } from '../../support/machine';
import type { System } from '../../support/system';

/** A "machine" of ours that enrols like any other and whose SSH port is a trap. */
export interface Trap {
  hostname: string;
  /** Connections that it was offered so far. */
  caught(): number;
  /** Those whose other side took it for the right machine and began to log in. */
  admitted(): number;
}

/** What a trap does with a connection; the servers that speak SSH do so with the host key that was enrolled. */
type Bait = (socket: Socket, hostKey: string, onLogin: () => void) => void;

const DOZE_MS = 1000;

/** Writes for as long as the other side takes it. */
function pour(
  to: { write(chunk: Buffer): boolean; on(event: 'drain', go: () => void): unknown; destroyed?: boolean },
  chunk: Buffer,
  limitBytes = Infinity,
): void {
  let written = 0;
  const go = (): void => {
    while (!to.destroyed && written < limitBytes) {
      written += chunk.length;
      if (!to.write(chunk)) {
        return;
      }
    }
  };
  to.on('drain', go);
  go();
}

function drip(socket: Socket, text: string): void {
  let at = 0;
  const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : void socket.write(text[at++ % text.length] ?? '')), DOZE_MS);
  socket.once('close', () => clearInterval(timer));
}

/** Speaks SSH with the right host key and lets everybody in; `onExec` answers the commands. */
const speaking =
  (
    onExec: (command: string, channel: ServerChannel, socket: Socket) => void,
    { admit = true, onReady }: { admit?: boolean; onReady?: (client: Connection) => void } = {},
  ): Bait =>
  (socket, hostKey, onLogin) => {
    const server = new ssh2.Server({ hostKeys: [readFileSync(hostKey)] }, (client: Connection) => {
      client.on('error', () => undefined);
      client.on('ready', () => onReady?.(client));
      client.on('authentication', (attempt) => {
        onLogin();
        if (admit) {
          attempt.accept();
        }
      });
      client.on('session', (accept) => {
        const session = accept();
        session.on('exec', (acceptExec, _reject, { command }) => {
          const channel = acceptExec();
          channel.on('error', () => undefined);
          channel.stdin.resume();
          onExec(command, channel, socket);
        });
      });
    });
    server.injectSocket(socket);
  };

/** Asks for channels that nobody wants, a thousand at a time, for as long as the connection lasts. */
function pester(client: Connection): void {
  const timer = setInterval(() => {
    for (let n = 0; n < 1000; n += 1) {
      client.forwardOut('127.0.0.1', 0, '127.0.0.1', 0, () => undefined);
    }
  }, 10);
  client.once('close', () => clearInterval(timer));
}

/** Answers as a healthy machine does when it is only asked how it is. */
const unlessProbe =
  (otherwise: (channel: ServerChannel) => void) =>
  (command: string, channel: ServerChannel): void => {
    const [, marker, asked] = /^echo (\S+); echo (\S+)$/.exec(command) ?? [];
    if (marker === undefined) {
      otherwise(channel);
      return;
    }
    channel.write(`${marker}\n${asked}\n`);
    channel.exit(0);
    channel.end();
  };

const FLOOD = Buffer.alloc(32_768, 'a line of nothing at all, and then another one of it\n');
const GIGABYTE = 1e9;

export const BAITS: Record<string, Bait> = {
  'endless-banner': (socket) => pour(socket, Buffer.alloc(16_384, 'no SSH here\r\n')),
  'banner-without-end-of-line': (socket) => pour(socket, Buffer.alloc(16_384, 'x')),
  silent: () => undefined,
  'one-byte-a-second': (socket) => drip(socket, 'SSH-2.0-OpenSSH_9.2p1 and so on\r\n'),
  reset: (socket) => void socket.resetAndDestroy(),
  garbage: (socket) => void socket.write(Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), Buffer.alloc(65_536, 0xff)])),
  'login-without-end': speaking(() => undefined, { admit: false }),
  'command-without-end': speaking(() => undefined),
  'output-without-end': speaking((_, channel) => pour(channel, FLOOD, GIGABYTE)),
  'errors-without-end': speaking((_, channel) => pour(channel.stderr, FLOOD, GIGABYTE)),
  'exit-before-the-end-of-the-output': speaking((command, channel, socket) => {
    const [, marker] = /^echo (\S+); /.exec(command) ?? [];
    channel.exit(0);
    channel.write(`${marker === undefined ? '' : `${marker}\n`}orion`);
    setImmediate(() => socket.destroySoon());
  }),
  // These pass every probe, so that they are wiped, which never ends.
  'sly-silent': speaking(unlessProbe(() => undefined)),
  'sly-restless': speaking(
    unlessProbe(() => undefined),
    { onReady: pester },
  ),
  'sly-flood': speaking(unlessProbe((channel) => pour(channel, FLOOD, GIGABYTE))),
};

export interface OpenTrap extends Trap {
  address: string;
  port: number;
  /** `type base64`. */
  hostKey: string;
  /** In OpenSSH format. */
  privateKey: string;
}

/** Opens a trap on a loopback address; it closes with the lab. */
export async function openTrap(
  lab: Lab,
  kind: string,
  { address = '127.0.0.1', hostname = kind }: { address?: string; hostname?: string } = {},
): Promise<OpenTrap> {
  const bait = BAITS[kind];
  if (!bait) {
    throw new Error(`no trap ${kind}`);
  }
  const { keyFile, publicKey } = await generateSshKeyPair(lab.dir, hostname);
  const sockets = new Set<Socket>();
  let caught = 0;
  let admitted = 0;
  const server: Server = createServer((socket) => {
    caught += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    bait(socket, keyFile, () => (admitted += 1));
  });
  server.listen(0, address);
  await eventually(() => server.listening, { what: `${hostname} listens` });
  lab.push(hostname, () => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    hostname,
    address,
    port,
    hostKey: publicKey.split(' ').slice(0, 2).join(' '),
    privateKey: readFileSync(keyFile, 'utf8'),
    caught: () => caught,
    admitted: () => admitted,
  };
}

/** Opens one on 127.0.77.`number` and enrols it with the join token. */
export async function enrolTrap(system: System, kind: string, number: number): Promise<Trap> {
  const trap = await openTrap(system.lab, kind, { address: `127.0.77.${number}`, hostname: `${kind}-${number}` });
  const body = { hostname: trap.hostname, ssh_port: trap.port, address: trap.address, host_key: trap.hostKey };
  await enrolMachine(system, body, trap.privateKey);
  return trap;
}
