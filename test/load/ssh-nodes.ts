import { createServer, type Socket } from 'node:net';
import ssh2, { type AuthContext, type Connection, type Session } from 'ssh2';
import { nodeAt, privateKeyOf } from './identity';

export interface SshNodes {
  /** Another key that may log in, `type base64`. */
  admit(publicKey: string): void;
  figures(): SshFigures;
}

export interface SshFigures {
  logins: number;
  commands: number;
  /** Open now. */
  connections: number;
}

export interface SshNodesOptions {
  secret: string;
  port: number;
  /** Told of each packet's arrival at a node, encrypted as it is: a login, a command, a ping. */
  onContact: (node: number) => void;
}

/**
 * The SSH servers of all nodes of a process behind one listening socket: the address that was dialled says which node it is, and so which
 * host key it shows. Whoever comes from elsewhere than loopback is cut.
 */
export function serveSsh({ secret, port, onContact }: SshNodesOptions): Promise<SshNodes> {
  const admitted = new Set<string>();
  const figures: SshFigures = { logins: 0, commands: 0, connections: 0 };
  const server = createServer({ noDelay: true }, (socket) => {
    const node = nodeAt(socket.localAddress ?? '');
    if (node === undefined || !(socket.remoteAddress ?? '').startsWith('127.')) {
      socket.destroy();
      return;
    }
    figures.connections += 1;
    socket.on('data', () => onContact(node));
    socket.once('close', () => (figures.connections -= 1));
    serveNode(socket, privateKeyOf(secret, node), { admitted, figures });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: '0.0.0.0', backlog: 4096 }, () =>
      resolve({ admit: (key) => void admitted.add(key.split(' ')[1] ?? ''), figures: () => figures }),
    );
  });
}

interface NodeDeps {
  admitted: Set<string>;
  figures: SshFigures;
}

function serveNode(socket: Socket, hostKey: string, { admitted, figures }: NodeDeps): void {
  const server = new ssh2.Server({ hostKeys: [hostKey] }, (client: Connection) => {
    client.on('error', () => undefined);
    client.on('authentication', (attempt: AuthContext) => {
      if (attempt.method === 'publickey' && admitted.has(attempt.key.data.toString('base64')) && isSigned(attempt)) {
        attempt.accept();
      } else {
        attempt.reject(['publickey']);
      }
    });
    client.on('ready', () => {
      figures.logins += 1;
      client.on('session', (accept) => serveCommands(accept(), figures));
    });
  });
  server.injectSocket(socket);
}

/** Without a signature it is only asked whether the key would do. */
function isSigned(attempt: AuthContext & { method: 'publickey' }): boolean {
  if (attempt.signature === undefined || attempt.blob === undefined) {
    return true;
  }
  const key = ssh2.utils.parseKey(attempt.key.data);
  return !(key instanceof Error) && key.verify(attempt.blob, attempt.signature, attempt.hashAlgo);
}

/** `echo` says what it is told to; anything else succeeds and says nothing. */
function serveCommands(session: Session, figures: SshFigures): void {
  session.on('exec', (accept, _reject, { command }) => {
    figures.commands += 1;
    const channel = accept();
    channel.on('error', () => undefined);
    for (const each of command.split('; ')) {
      const said = /^echo (.*)$/.exec(each)?.[1];
      if (said !== undefined) {
        channel.write(`${said}\n`);
      }
    }
    channel.exit(0);
    channel.end();
  });
}
