import type { Socket } from 'node:net';
import type { ClientChannel, Connection, ServerChannel, Session } from 'ssh2';
import type { Clock } from '../../lib/clock';
import { joinStreams } from '../../lib/join-streams';
import { holdBack } from '../backlog';
import type { Dial } from '../dial';
import { acceptForwardings } from './forwarding';
import { createNodeLink, type NodeLink } from './node-link';
import { connectChannels, endChannel, openChannel, type OpenChannel, takesPackets } from './relay';
import { runShell, type Terminal } from './shell';
import { bytesOf, DISCONNECT, endWithReason } from './ssh2-patch';
import {
  EXIT_LEASE_OVER,
  EXIT_LOGIN_REFUSED,
  EXIT_NODE_LOST,
  reasonOfEnd,
  type GatewaySettings,
  type LeaseDirectory,
  type GatewayClient,
} from './types';

export interface GatewaySessionDeps {
  /** The socket of the connection. */
  socket: Socket;
  gatewayClient: GatewayClient;
  settings: GatewaySettings;
  directory: LeaseDirectory;
  dial: Dial;
  clock: Clock;
}

/** sshd has the same limit for one connection. */
const MAX_SESSIONS = 10;
const MAX_ENV = 32;
/** Limit for all variables of a session together. The node's kernel accepts no single variable that is longer. */
const MAX_ENV_BYTES = 128 * 1024;
/** Time after the end of a lease for the last messages to arrive. */
const LAST_MESSAGES_MS = 1_000;

/** Serves one gateway session until it closes. All handlers are installed when this returns. */
export function serveGatewaySession(
  connection: Connection,
  { socket, gatewayClient, settings, directory, dial, clock }: GatewaySessionDeps,
): NodeLink {
  const { leaseId } = gatewayClient;
  const link = createNodeLink({ gatewayClient, directory, dial, privateKey: settings.privateKey, clock });
  let sessions = 0;
  connection.on('session', (accept, reject) => {
    if (sessions >= MAX_SESSIONS) {
      reject();
      return;
    }
    sessions += 1;
    const session = accept();
    session.once('close', () => {
      sessions -= 1;
    });
    serveSession(session, { leaseId, link, clock, socket, warnSeconds: settings.warnSeconds });
  });
  acceptForwardings(connection, {
    leaseId,
    link,
    allowed: settings.forwarding,
    join: ({ client, node, stream }) => {
      holdBack(client, stream);
      holdBack(node, socket);
      joinStreams(client, node);
    },
  });
  const endSession = async (): Promise<void> => {
    await clock.sleep(LAST_MESSAGES_MS);
    endWithReason(connection, DISCONNECT.byApplication, reasonOfEnd(leaseId, link.whereabouts()));
    await clock.sleep(LAST_MESSAGES_MS);
    socket.destroy();
  };
  link.onNews((at) => void (at.state === 'over' && endSession()));
  return link;
}

interface SessionDeps {
  socket: Socket;
  leaseId: number;
  link: NodeLink;
  clock: Clock;
  warnSeconds: number[];
}

function serveSession(session: Session, deps: SessionDeps): void {
  const terminal: Terminal = { pty: undefined, env: {} };
  let onNode: ClientChannel | undefined;
  let envBytes = 0;
  session.on('env', (accept, _reject, { key, val }) => {
    const bytes = key.length + val.length;
    if (Object.keys(terminal.env).length < MAX_ENV && envBytes + bytes <= MAX_ENV_BYTES) {
      envBytes += bytes;
      terminal.env[key] = val;
    }
    reply(accept);
  });
  session.on('pty', (accept, _reject, info) => {
    const { term } = info as unknown as { term?: string };
    terminal.pty = { term: term ?? 'xterm', cols: info.cols, rows: info.rows, width: info.width, height: info.height, modes: info.modes };
    reply(accept);
  });
  session.on('window-change', (accept, _reject, { cols, rows, width, height }) => {
    if (terminal.pty) {
      Object.assign(terminal.pty, { cols, rows, width, height });
    }
    onNode?.setWindow(rows, cols, height, width);
    reply(accept);
  });
  session.on('signal', (accept, _reject, { name }) => {
    onNode?.signal(name);
    reply(accept);
  });
  session.on('x11', (_accept, reject) => reply(reject));
  session.on('auth-agent', (_accept, reject) => reply(reject));
  const keep = (channel: ClientChannel | undefined): void => {
    onNode = channel;
  };
  session.on('shell', (accept, reject) => {
    const channel = begin(accept, reject);
    if (channel) {
      void runShell(channel, terminal, { ...deps, onNode: keep });
    }
  });
  session.on('exec', (accept, reject, info) => {
    // The library's types allow only text, but its client sends bytes unchanged.
    const command = bytesOf(info) as unknown as string;
    void runOnce(begin(accept, reject), deps, {
      keep,
      open: (client, done) => client.exec(command, { env: terminal.env, ...(terminal.pty ? { pty: terminal.pty } : {}) }, done),
    });
  });
  session.on('subsystem', (accept, reject, { name }) => {
    void runOnce(begin(accept, reject), deps, { keep, open: (client, done) => client.subsys(name, done) });
  });
}

interface Once {
  keep: (channel: ClientChannel | undefined) => void;
  open: OpenChannel;
}

/** Runs a command or a subsystem. It cannot be resumed: when its machine is lost, it ends with a status of its own. */
async function runOnce(channel: ServerChannel | undefined, { link, leaseId, socket }: SessionDeps, { keep, open }: Once): Promise<void> {
  if (!channel) {
    return;
  }
  const gone = new Promise<'gone'>((resolve) => channel.once('close', () => resolve('gone')));
  const connection = await Promise.race([link.connect(), gone]);
  if (connection === 'gone') {
    return;
  }
  if (connection === null) {
    fail(channel, EXIT_LEASE_OVER, reasonOfEnd(leaseId, link.whereabouts()));
    return;
  }
  if ('refused' in connection) {
    fail(channel, EXIT_LOGIN_REFUSED, connection.refused);
    return;
  }
  const opened = await openChannel(connection, open);
  if (typeof opened === 'string') {
    fail(channel, EXIT_NODE_LOST, `${connection.at.nodeName} does not run that`);
    return;
  }
  keep(opened.channel);
  connectChannels({ channel, stream: socket }, { channel: opened.channel, stream: connection.stream });
  const ending = await Promise.race([opened.ended, gone]);
  keep(undefined);
  if (ending === 'gone') {
    opened.channel.close();
  } else if (ending !== 'lost') {
    endChannel(channel, ending);
  } else if (link.whereabouts().state === 'over') {
    fail(channel, EXIT_LEASE_OVER, reasonOfEnd(leaseId, link.whereabouts()));
  } else {
    fail(channel, EXIT_NODE_LOST, `${connection.at.nodeName} was lost in the middle of this; the lease goes on elsewhere: start it again`);
  }
}

function fail(channel: ServerChannel, code: number, why: string): void {
  channel.stderr.write(`[orion] ${why}\r\n`);
  endChannel(channel, { code });
}

/** Replies to a request. A client may want no reply, and then there is no function to call, although the types require it. */
const reply = (answer: (() => unknown) | undefined): void => void answer?.();

/** Undefined: the session already runs something, or its client wants packets that are too small. */
function begin(accept: () => ServerChannel | undefined, reject: (() => void) | undefined): ServerChannel | undefined {
  const channel = accept();
  if (!channel) {
    reply(reject);
    return undefined;
  }
  channel.on('error', () => undefined);
  channel.stderr.on('error', () => undefined);
  if (takesPackets(channel)) {
    return channel;
  }
  channel.close();
  return undefined;
}
