import { afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { WebSocket } from 'ws';
import { eventually } from '../../lab';
import { aNode } from '../../support/builders';
import { count } from '../../support/database';
import { useForAll, useTestDatabase } from '../../support/hooks';
import { dialNode, expectEcho, openRaw, startAgent, untilTunnel, useOwner, useSshd } from './support';

jest.setTimeout(30_000);

const PING_MS = 1_000;

/** An HTTP/2 frame (RFC 9113, section 4.1). */
function frame(
  type: number,
  {
    flags = 0,
    stream = 0,
    payload = Buffer.alloc(0),
    length = payload.length,
  }: { flags?: number; stream?: number; payload?: Buffer; length?: number } = {},
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const [DATA, HEADERS, RST, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION] = [0, 1, 3, 4, 5, 6, 7, 8, 9];
const END_HEADERS = 4;
const STATUS_200 = Buffer.from([0x88]);
const hello = frame(SETTINGS);

const EVIL: Record<string, Buffer[]> = {
  'no HTTP/2 at all': [Buffer.from('GET / HTTP/1.1\r\nHost: orion\r\n\r\n'.repeat(10))],
  'random bytes': [Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 197 + 13) % 251))],
  "a client's preface": [Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), hello],
  'garbage behind a good beginning': [hello, Buffer.alloc(1000, 0xff)],
  'frames before the settings': [frame(PING, { payload: Buffer.alloc(8) })],
  'data on a stream that nobody opened': [hello, frame(DATA, { stream: 1, payload: Buffer.from('x') })],
  'a stream of its own': [hello, frame(HEADERS, { flags: END_HEADERS, stream: 2, payload: STATUS_200 })],
  'a stream of its own with an odd number': [hello, frame(HEADERS, { flags: END_HEADERS, stream: 7, payload: STATUS_200 })],
  'a push': [
    hello,
    frame(PUSH_PROMISE, { flags: END_HEADERS, stream: 1, payload: Buffer.concat([Buffer.from([0, 0, 0, 2]), STATUS_200]) }),
  ],
  'a frame of 16 MiB': [hello, frame(PING, { length: 0xff_ff_ff, payload: Buffer.alloc(65_536) })],
  'a continuation of nothing': [hello, frame(CONTINUATION, { flags: END_HEADERS, stream: 1, payload: STATUS_200 })],
  'a window that overflows': [hello, ...[1, 2].map(() => frame(WINDOW_UPDATE, { payload: Buffer.from([0x7f, 0xff, 0xff, 0xff]) }))],
  'the end of a stream that never was': [hello, frame(RST, { stream: 9, payload: Buffer.alloc(4) })],
  'settings that cannot be': [frame(SETTINGS, { payload: Buffer.from([0, 5, 0, 0, 0, 1]) })],
  'a goodbye': [hello, frame(GOAWAY, { payload: Buffer.alloc(8) })],
  'a message of 9 MiB': [Buffer.alloc(9 * 1024 * 1024)],
};

describe('an agent that is none', () => {
  const database = useTestDatabase();
  const owner = useOwner(database, { pingMs: PING_MS });
  const sshd = useSshd();
  const honest = useForAll(() => aNode(database.db));
  useForAll(
    () => startAgent(owner.url, honest.credential, sshd),
    (agent) => agent.stop(),
  );

  let token = '';
  beforeAll(async () => {
    token = await untilTunnel(database.db, honest.id);
  });
  afterEach(async () => {
    // The neighbour's tunnel is the one that it was.
    expect(await untilTunnel(database.db, honest.id)).toBe(token);
    await expectEcho(await dialNode(database.db, honest.id));
  });

  const expectEnd = async (socket: WebSocket, nodeId: number): Promise<void> => {
    await eventually(() => socket.readyState === WebSocket.CLOSED, { what: 'the WebSocket is closed' });
    await eventually(async () => (await count(database.db, 'SELECT COUNT(*) FROM tunnels WHERE node_id = ?', [nodeId])) === 0, {
      what: 'the tunnel is forgotten',
    });
    expect(owner.hub.list().some((held) => held.nodeId === nodeId)).toBe(false);
  };

  it.each(Object.keys(EVIL))('%s: the end of that tunnel, and of nothing else', async (what) => {
    const node = await aNode(database.db);
    const socket = await openRaw(owner.url, node.credential);
    for (const bytes of EVIL[what] ?? []) {
      socket.send(bytes);
    }
    await expectEnd(socket, node.id);
  });

  it.each([
    ['a text message', (socket: WebSocket) => socket.send(hello.toString('latin1'), { binary: false })],
    [
      'the rest of a message that never began',
      (socket: WebSocket) =>
        (socket as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(Buffer.from([0x80, 0x80, 0, 0, 0, 0])),
    ],
    [
      'a frame without a mask',
      (socket: WebSocket) => (socket as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(Buffer.from([0x82, 1, 0])),
    ],
    ['nothing, for ever', () => undefined],
    ['a good beginning, and then nothing', (socket: WebSocket) => socket.send(hello)],
    [
      'pings without end, and no ear for the answers',
      (socket: WebSocket) => {
        socket.pause();
        for (let i = 0; i < 20_000; i++) {
          socket.ping(Buffer.alloc(125));
        }
      },
    ],
    [
      'requests for a sign of life without end, and no ear for them',
      (socket: WebSocket) => {
        socket.pause();
        socket.send(hello);
        const flood = Buffer.concat(Array.from({ length: 1000 }, () => frame(PING, { payload: Buffer.alloc(8) })));
        for (let i = 0; i < 200; i++) {
          socket.send(flood);
        }
      },
    ],
  ])('%s: the same', async (_what, misuse) => {
    const node = await aNode(database.db);
    const socket = await openRaw(owner.url, node.credential);
    misuse(socket);
    // Only whoever listens hears of the end.
    await eventually(
      async () =>
        (await count(database.db, 'SELECT COUNT(*) FROM tunnels WHERE node_id = ?', [node.id])) === 0 &&
        !owner.hub.list().some(({ nodeId }) => nodeId === node.id),
      {
        what: 'the tunnel is forgotten',
      },
    );
    socket.resume();
    await expectEnd(socket, node.id);
  });

  it.each([
    [
      'headers without end',
      (stream: number) => [
        frame(HEADERS, { stream, payload: STATUS_200 }),
        ...Array.from({ length: 200 }, () => frame(CONTINUATION, { stream, payload: Buffer.alloc(16_000, 0x88) })),
      ],
    ],
    ['data before any answer', (stream: number) => [frame(DATA, { stream, payload: Buffer.from('x') })]],
  ])('asked for a stream it answers with %s: the one who asked gets an end', async (_what, answer) => {
    const node = await aNode(database.db);
    const socket = await openRaw(owner.url, node.credential);
    socket.send(hello);
    socket.on('message', (data: Buffer) => {
      // Settings and the request come in one piece or two: the request is the frame of type HEADERS.
      for (let at = data.subarray(0, 3).toString() === 'PRI' ? 24 : 0; at + 9 <= data.length; at += 9 + data.readUIntBE(at, 3)) {
        if (data[at + 3] === HEADERS) {
          answer(data.readUInt32BE(at + 5)).forEach((bytes) => socket.send(bytes));
        } else if (data[at + 3] === PING) {
          socket.send(frame(PING, { flags: 1, payload: data.subarray(at + 9, at + 17) }));
        }
      }
    });
    await untilTunnel(database.db, node.id);
    const opened = await dialNode(database.db, node.id, 3_000).catch(() => undefined);
    opened?.on('error', () => undefined).resume();
    await eventually(() => !opened || opened.destroyed, { what: 'whoever asked has an end' });
    await expectEnd(socket, node.id);
  });

  it('asked for a stream it says nothing: whoever asked waits as long as he wants to, and no longer', async () => {
    const node = await aNode(database.db);
    const socket = await openRaw(owner.url, node.credential);
    socket.send(hello);
    await untilTunnel(database.db, node.id);
    await expect(dialNode(database.db, node.id, 300)).rejects.toThrow();
    socket.terminate();
    await expectEnd(socket, node.id);
  });
});
