import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Knex } from 'knex';
import { WebSocket } from 'ws';
import { keepTunnel } from '../../../src/agent/tunnel';
import { startTunnelKeeper, type TunnelKeeper } from '../../../src/flows/nodes/hold-tunnels';
import { createNodeFinder } from '../../../src/http/node-caller';
import { acceptTunnels } from '../../../src/http/workers/tunnel';
import { systemClock } from '../../../src/lib/clock';
import { newClaimToken } from '../../../src/lib/ids';
import { silentLogger } from '../../../src/lib/logger';
import { createRefusalLog } from '../../../src/modules/audit';
import { createChallenges } from '../../../src/modules/nodes';
import { createTunnelDial, createTunnelHub, olderTokens, type TunnelHub } from '../../../src/modules/tunnels';
import type { SshTarget } from '../../../src/ssh';
import { eventually } from '../../lab';
import { createTestContext } from '../../support/context';
import { row, type TestDatabase } from '../../support/database';
import { createFakeProvisioner } from '../../support/fake-provisioner';
import { close, useForAll } from '../../support/hooks';

/** Of the release before. */
export const OLDER = olderTokens(['a secret of the tests that all of the control plane share']);

export const CHALLENGES = createChallenges(['a secret of the tests that all of the control plane share']);

/** What an API replica is for tunnels, without the rest of it. */
export interface Owner {
  id: string;
  /** Of the entrance, for agents. */
  url: string;
  relayUrl: string;
  server: Server;
  hub: TunnelHub;
  keeper: TunnelKeeper;
  /** From now on it takes no tunnel. */
  stopping: AbortController;
  close(): Promise<void>;
}

export async function startOwner(db: Knex, { pingMs = 5_000 } = {}): Promise<Owner> {
  const hub = createTunnelHub({ clock: systemClock, logger: silentLogger, pingMs });
  const id = newClaimToken();
  const keeper = await startTunnelKeeper(
    { ...createTestContext(db, createFakeProvisioner()), tunnels: { ownerId: id, hub, older: OLDER } },
    { host: '127.0.0.1', port: 0 },
  );
  const { url: relayUrl } = await row<{ url: string }>(db, 'SELECT url FROM tunnel_holders WHERE id = ?', [id]);
  const server = createServer((_req, res) => res.writeHead(404).end());
  const stopping = new AbortController();
  const refusals = createRefusalLog({ db, clock: systemClock, logger: silentLogger });
  acceptTunnels(server, {
    db,
    findNodeCaller: createNodeFinder({ db, clock: systemClock, logger: silentLogger }),
    challenges: CHALLENGES,
    refusals,
    logger: silentLogger,
    stopping: stopping.signal,
    take: (node, stream) => keeper.take(node, stream),
  });
  const url = `http://127.0.0.1:${await listening(server)}`;
  return {
    id,
    url,
    relayUrl,
    server,
    hub,
    keeper,
    stopping,
    close: async () => {
      server.close();
      await keeper.stop();
      await refusals.flush();
      server.closeAllConnections();
    },
  };
}

export const useOwner = (database: TestDatabase, options?: { pingMs: number }): Owner =>
  useForAll(() => startOwner(database.db, options), close);

export const useSshd = (): Sshd => useForAll(() => startSshd(echo), close);

async function listening(server: Server | TcpServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await eventually(() => server.listening, { what: 'the server listens' });
  return (server.address() as AddressInfo).port;
}

/** A TCP server in the place of an sshd: what the tunnel leads to need not speak SSH. */
export interface Sshd {
  host: string;
  port: number;
  close(): void;
}

export async function startSshd(serve: (socket: Socket) => void): Promise<Sshd> {
  const sockets = new Set<Socket>();
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    serve(socket);
  });
  const port = await listening(server);
  return {
    host: '127.0.0.1',
    port,
    close: () => {
      server.close();
      sockets.forEach((socket) => socket.destroy());
    },
  };
}

export const echo = (socket: Socket): void => void socket.pipe(socket);

let lastChallengeAt = 0;
/** In the place of the API's route: the database of the tests goes by the same clock. */
export function nextChallenge(): string {
  lastChallengeAt = Math.max(lastChallengeAt + 1, systemClock.now().getTime() * 1000);
  return CHALLENGES.issue(lastChallengeAt);
}

/** The real agent's half of a tunnel, in this process. */
export function startAgent(endpoint: string, credential: string, sshd: { host: string; port: number }): { stop(): Promise<void> } {
  const over = new AbortController();
  const kept = keepTunnel(
    {
      endpoint,
      ca: undefined,
      sshd,
      findCredential: () => Promise.resolve(credential),
      challenge: () => Promise.resolve(nextChallenge()),
      clock: systemClock,
      logger: silentLogger,
    },
    over.signal,
  );
  return {
    stop: async () => {
      over.abort();
      await kept;
    },
  };
}

/** Something that shows an agent's credential and is none: a WebSocket with its bytes in the test's hand. */
export async function openRaw(url: string, credential: string): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/workers/tunnel`, {
    headers: { authorization: `Bearer ${credential}` },
    perMessageDeflate: false,
  });
  socket.on('error', () => undefined);
  await eventually(() => socket.readyState !== WebSocket.CONNECTING, { what: 'the WebSocket is open' });
  return socket;
}

export const targetOf = (nodeId: number): SshTarget => ({
  nodeId,
  address: '127.0.99.99',
  port: 1,
  hostKey: 'ssh-ed25519 AAAA',
  reach: 'tunnel',
});

/** Dials as a process that holds no tunnel does, with a deadline. */
export function dialNode(db: Knex, nodeId: number, limitMs = 10_000, older?: typeof OLDER): Promise<Duplex> {
  return createTunnelDial({ db, clock: systemClock, older })(targetOf(nodeId), AbortSignal.timeout(limitMs));
}

/** Sends some bytes and gets them back. */
export async function expectEcho(stream: Duplex): Promise<void> {
  const sent = randomBytes(100_000);
  let got = Buffer.alloc(0);
  stream.on('error', () => undefined);
  stream.on('data', (chunk: Buffer) => {
    got = Buffer.concat([got, chunk]);
  });
  stream.write(sent);
  await eventually(() => got.equals(sent), { what: 'the bytes come back' });
  stream.destroy();
}

export async function untilTunnel(db: Knex, nodeId: number, owner?: Owner): Promise<string> {
  const find = (): Promise<{ token: string; holder_id: string }> =>
    row(db, 'SELECT token, holder_id FROM tunnels WHERE node_id = ?', [nodeId]);
  const { token } = await eventually(
    async () => {
      const found = await find();
      return (!owner || found.holder_id === owner.id) && found;
    },
    { what: `node ${nodeId} has a tunnel` },
  );
  return token;
}
