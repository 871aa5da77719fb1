import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { WebSocketServer } from 'ws';
import { streamOverWebSocket } from '../../../src/lib/websocket-stream';
import { eventually } from '../../lab';
import { aNode } from '../../support/builders';
import { useTestDatabase } from '../../support/hooks';
import { dialNode, echo, expectEcho, startAgent, startSshd, untilTunnel, useOwner, useSshd } from './support';

jest.setTimeout(30_000);

describe('what an agent leads to', () => {
  const sshd = useSshd();
  let server: Server;
  let session: ClientHttp2Session;
  let agent: { stop(): Promise<void> };

  // In the control plane's place, to ask for what it never asks for.
  beforeAll(async () => {
    server = createServer();
    const sockets = new WebSocketServer({ server });
    const opened = new Promise<ClientHttp2Session>((resolve) => {
      sockets.once('connection', (socket) => resolve(connectHttp2('http://node', { createConnection: () => streamOverWebSocket(socket) })));
    });
    server.listen(0, '127.0.0.1');
    await eventually(() => server.listening, { what: 'the server listens' });
    agent = startAgent(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'any', sshd);
    session = await opened;
    session.on('error', () => undefined);
  });
  afterAll(async () => {
    await agent.stop();
    server.closeAllConnections();
    server.close();
  });

  const ask = (headers: Record<string, string>): Promise<{ status: number | undefined; stream: Duplex }> =>
    new Promise((resolve, reject) => {
      const stream = session.request(headers, { endStream: false });
      stream.once('response', ({ ':status': status }) => resolve({ status, stream }));
      stream.once('error', reject);
      stream.once('close', () => reject(new Error('closed')));
    });

  it.each(['sshd', '127.0.0.1:1', 'orion-db:3306', '169.254.169.254:80', '[::1]:22'])(
    'asked for %s it leads to its own sshd',
    async (authority) => {
      const { status, stream } = await ask({ ':method': 'CONNECT', ':authority': authority });
      expect(status).toBe(200);
      await expectEcho(stream);
    },
  );

  it.each(['GET', 'POST', 'PUT', 'OPTIONS'])('%s leads to nothing', async (method) => {
    const { status, stream } = await ask({ ':method': method, ':path': '/', ':authority': '127.0.0.1:1', ':scheme': 'http' });
    stream.on('error', () => undefined);
    expect(status).toBe(405);
    stream.destroy();
  });

  it('an sshd that is not there is an end, and the tunnel stays', async () => {
    sshd.close();
    await expect(ask({ ':method': 'CONNECT', ':authority': 'sshd' })).rejects.toThrow();
    expect(session.destroyed).toBe(false);
  });
});

describe('many streams in one tunnel', () => {
  const MAX_STREAMS = 64;
  const database = useTestDatabase();
  const owner = useOwner(database);

  const enrol = async (serve: (socket: Socket) => void): Promise<{ id: number; close(): Promise<void> }> => {
    const sshd = await startSshd(serve);
    const { id, credential } = await aNode(database.db);
    const agent = startAgent(owner.url, credential, sshd);
    await untilTunnel(database.db, id);
    return {
      id,
      close: async () => {
        await agent.stop();
        sshd.close();
      },
    };
  };
  const several = (n: number, id: number): Promise<Duplex[]> =>
    Promise.all(
      Array.from({ length: n }, async () => {
        const stream = await dialNode(database.db, id);
        return stream.on('error', () => undefined);
      }),
    );

  it('sixty-four at a time: the next one waits for its turn, and gives up when it wants to', async () => {
    const node = await enrol(echo);
    const streams = await several(MAX_STREAMS, node.id);
    await expect(dialNode(database.db, node.id, 500)).rejects.toThrow();
    const waiting = dialNode(database.db, node.id);
    streams[0]?.destroy();
    await expectEcho(await waiting);
    streams.forEach((stream) => stream.destroy());
    await expectEcho(await dialNode(database.db, node.id));
    await node.close();
  }, 30_000);

  it('readers and writers that stand still do not stop the others', async () => {
    const STALLED = 16;
    const FLOOD = Buffer.alloc(65_536, 'flood');
    let connections = 0;
    // They pour and never read; the last one echoes.
    const node = await enrol((socket) => {
      connections += 1;
      if (connections > STALLED) {
        echo(socket);
        return;
      }
      const pour = (): void => {
        while (!socket.destroyed && socket.write(FLOOD));
      };
      socket.on('drain', pour);
      pour();
    });
    const stalled = await several(STALLED, node.id);
    for (const stream of stalled) {
      while (stream.write(FLOOD));
    }
    let before = -1;
    await eventually(
      () => {
        const now = stalled.reduce((sum, stream) => sum + stream.writableLength + stream.readableLength, 0);
        const still = now === before;
        before = now;
        return still;
      },
      { what: 'nothing moves any more', everyMs: 500, timeoutMs: 20_000 },
    );
    await expectEcho(await dialNode(database.db, node.id));
    stalled.forEach((stream) => stream.destroy());
    await node.close();
  }, 40_000);

  it('a stream that is closed at one end is closed at the other', async () => {
    const ended: string[] = [];
    const node = await enrol((socket) => {
      socket.resume();
      socket.once('end', () => ended.push('the end'));
      socket.once('data', () => socket.destroy());
    });
    const [ours, theirs] = (await several(2, node.id)) as [Duplex, Duplex];
    ours.destroy();
    await eventually(() => ended.length === 1, { what: 'the sshd sees the end' });
    theirs.resume().write('x');
    await eventually(() => theirs.destroyed, { what: 'the caller sees the end' });
    await node.close();
  });
});
