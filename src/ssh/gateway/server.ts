import { createServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import ssh2, { type AuthContext, type ClientInfo, type Connection, type PublicKeyAuthContext } from 'ssh2';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import { inTrace, SpanKind } from '../../lib/trace';
import { cutWhenOwed } from '../backlog';
import type { Dial } from '../dial';
import { createFailures, type Failures } from './failures';
import { createHalfOpen, type HalfOpen } from './half-open';
import { admitFullPackets, DISCONNECT, endWithReason, requirePatchedSsh2 } from './ssh2-patch';
import { createTraffic } from './traffic';
import type { GatewayMeter, GatewaySettings, LeaseDirectory, LoginResult, GatewayClient } from './types';
import { serveGatewaySession } from './gateway-session';

export interface GatewayDeps {
  settings: GatewaySettings;
  directory: LeaseDirectory;
  dial: Dial;
  clock: Clock;
  logger: Logger;
  meter: GatewayMeter;
}

export interface Gateway {
  port: number;
  /** Bytes of all connections since the start. */
  traffic(): { received: number; sent: number };
  /** Accepts no more connections, waits up to `limitMs` for the open ones, then cuts them. */
  close(limitMs: number): Promise<void>;
}

/** Like OpenSSH's MaxAuthTries. Only an attempt with a signature or a password counts as a guess. */
const MAX_GUESSES = 6;
/**
 * Keys that a client may offer before the right one. An offer guesses nothing and costs the gateway one look-up, so there is room for all
 * keys of an SSH agent. sshd counts each offer as a failure and disconnects at the sixth.
 */
const MAX_OFFERS = 20;
const USERNAME = /^(?:lease-)?([1-9]\d{0,14})$/;
const KEEPALIVE_MS = 15_000;
/** Ciphers with hardware support. The client's first choice would halve the throughput here. */
const CIPHERS = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes256-ctr'];

/**
 * Starts an SSH server in front of all leases. It admits clients that hold a key of a lease, and forwards them to the lease's current node.
 * A stranger cannot distinguish a wrong key, a lease of somebody else, an ended lease and a lease that never existed.
 */
export async function startGateway(deps: GatewayDeps, { host, port }: { host: string; port: number }): Promise<Gateway> {
  requirePatchedSsh2();
  const { settings, clock, meter } = deps;
  const failures = createFailures();
  const halfOpen = createHalfOpen(clock);
  const traffic = createTraffic();
  const sessions = new Map<number, Set<Connection>>();
  const ssh = new ssh2.Server(
    {
      hostKeys: settings.hostKeys,
      ident: 'Orion',
      keepaliveInterval: KEEPALIVE_MS,
      keepaliveCountMax: 4,
      algorithms: { cipher: CIPHERS as never },
    },
    (connection, info) => welcome(connection, info, { ...deps, failures, sessions, halfOpen }),
  );
  const tcp = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS }, (socket: Socket) => {
    socket.on('error', () => undefined);
    traffic.watch(socket);
    const address = socket.remoteAddress ?? '';
    const turnAway = (): void => {
      meter.login('turned_away');
      socket.destroy();
    };
    if (!halfOpen.admit(socket, address)) {
      turnAway();
      return;
    }
    failures.tooMany(address).then(
      (tooMany) => {
        if (tooMany) {
          turnAway();
        } else if (!socket.destroyed) {
          ssh.injectSocket(socket);
          halfOpen.listenTo(socket);
          cutWhenOwed(socket);
        }
      },
      () => socket.destroy(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    tcp.once('error', reject);
    tcp.listen(port, host, resolve);
  });
  const { port: bound } = tcp.address() as AddressInfo;
  return { port: bound, traffic: () => traffic.total(), close: (limitMs) => close(tcp, { sessions, clock, limitMs }) };
}

interface ServerDeps extends GatewayDeps {
  failures: Failures;
  sessions: Map<number, Set<Connection>>;
  halfOpen: HalfOpen;
}

function welcome(connection: Connection, { ip, port }: ClientInfo, deps: ServerDeps): void {
  let gatewayClient: GatewayClient | undefined;
  let unless: LoginResult = 'refused';
  const mayTry = limitAttempts();
  deps.halfOpen.greeted(ip, port);
  connection.on('error', (error) => deps.logger.debug('gateway connection failed', { address: ip, reason: error.message }));
  connection.on('authentication', (ctx) => {
    if (!mayTry(ctx)) {
      endWithReason(connection, DISCONNECT.noMoreMethods, TOO_MANY_ATTEMPTS);
      return;
    }
    authenticate(ctx, ip, deps.directory).then(
      (admitted) => {
        if (admitted === 'may sign') {
          ctx.accept();
        } else if (admitted && hasRoom(deps, admitted.leaseId)) {
          gatewayClient = admitted;
          ctx.accept();
        } else {
          unless = admitted ? 'full' : 'refused';
          ctx.reject(['publickey']);
        }
      },
      (error: unknown) => {
        deps.logger.warn('gateway cannot look up a lease', { error });
        ctx.reject(['publickey']);
      },
    );
  });
  connection.once('ready', () => {
    admitFullPackets(connection);
    const socket = deps.halfOpen.passed(ip, port);
    if (gatewayClient && socket) {
      const about = { kind: SpanKind.SERVER, attributes: { 'orion.lease.id': gatewayClient.leaseId }, causes: [gatewayClient.cause] };
      const admitted = gatewayClient;
      void inTrace('gateway-session', about, () => receive(connection, admitted, { ...deps, socket }));
    }
  });
  connection.once('close', () => {
    if (!gatewayClient) {
      deps.meter.login(unless);
      deps.failures.count(ip);
    }
  });
}

const TOO_MANY_ATTEMPTS = `Too many authentication failures: up to ${MAX_OFFERS} keys may be offered, and none so far opens this lease. Offer the right one alone: ssh -o IdentitiesOnly=yes -i KEY`;

/**
 * Returns a function that checks whether a connection may try to log in once more. The method `none`, with which clients request the list
 * of methods, does not count.
 */
function limitAttempts(): (ctx: AuthContext) => boolean {
  let [offers, guesses] = [0, 0];
  return (ctx) => {
    const isOffer = ctx.method === 'none' || (ctx.method === 'publickey' && !ctx.signature);
    offers += ctx.method !== 'none' && isOffer ? 1 : 0;
    guesses += isOffer ? 0 : 1;
    return offers <= MAX_OFFERS && guesses <= MAX_GUESSES;
  };
}

const hasRoom = ({ sessions, settings }: ServerDeps, leaseId: number): boolean =>
  (sessions.get(leaseId)?.size ?? 0) < settings.maxConnectionsPerLease;

/** Serves the connection of an admitted client. Resolves when it is closed. */
async function receive(connection: Connection, gatewayClient: GatewayClient, deps: ServerDeps & { socket: Socket }): Promise<void> {
  const { clock, directory, logger, meter, socket, sessions } = deps;
  const { leaseId, address } = gatewayClient;
  const startedAt = clock.monotonicMs();
  const link = serveGatewaySession(connection, { ...deps, gatewayClient });
  const present = sessions.get(leaseId) ?? new Set();
  meter.login('accepted');
  meter.connections(1);
  sessions.set(leaseId, present.add(connection));
  logger.info('gateway session begins', { leaseId, address });
  const note = (what: Promise<void>): void =>
    void what.catch((error: unknown) => logger.warn('a gateway session could not be noted', { leaseId, error }));
  note(directory.connected(gatewayClient));
  // The client receives the reason and has this long to disconnect.
  connection.once('error', () => void clock.sleep(SWEEP_MS * 10).then(() => socket.destroy()));
  await new Promise<void>((resolve) => connection.once('close', () => resolve()));
  link.close();
  meter.connections(-1);
  present.delete(connection);
  if (present.size === 0) {
    sessions.delete(leaseId);
  }
  const seconds = (clock.monotonicMs() - startedAt) / 1000;
  logger.info('gateway session ends', { leaseId, address, seconds: Math.round(seconds) });
  note(directory.disconnected(gatewayClient, seconds));
}

/** Checks a login. `may sign`: the key belongs to the lease, and the client must still prove that it holds the key. */
async function authenticate(ctx: AuthContext, address: string, directory: LeaseDirectory): Promise<GatewayClient | 'may sign' | undefined> {
  const leaseId = Number(USERNAME.exec(ctx.username)?.[1] ?? 0);
  if (ctx.method !== 'publickey') {
    return undefined;
  }
  const key = matchingKey(await directory.keysOf(leaseId), ctx);
  if (key === undefined) {
    return undefined;
  }
  if (!ctx.signature || !ctx.blob) {
    return 'may sign';
  }
  const parsed = ssh2.utils.parseKey(key);
  if (parsed instanceof Error || !parsed.verify(ctx.blob, ctx.signature, ctx.hashAlgo)) {
    return undefined;
  }
  return { leaseId, address, publicKey: key, cause: await directory.causeOf(leaseId) };
}

function matchingKey(keys: string[], { key }: PublicKeyAuthContext): string | undefined {
  const shown = key.data.toString('base64');
  return keys.find((line) => line.split(' ')[1] === shown);
}

const SWEEP_MS = 100;

async function close(
  tcp: TcpServer,
  { sessions, clock, limitMs }: { sessions: ServerDeps['sessions']; clock: Clock; limitMs: number },
): Promise<void> {
  const closed = new Promise<void>((resolve) => tcp.close(() => resolve()));
  const deadline = clock.monotonicMs() + limitMs;
  while (sessions.size > 0 && clock.monotonicMs() < deadline) {
    await clock.sleep(SWEEP_MS);
  }
  for (const connection of [...sessions.values()].flatMap((present) => [...present])) {
    endWithReason(connection, DISCONNECT.byApplication, 'this gateway stops: please connect again');
  }
  await Promise.race([closed, clock.sleep(SWEEP_MS * 10)]);
}
