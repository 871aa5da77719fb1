import { PassThrough } from 'node:stream';
import type { Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { openWire } from './play-wire';

const aSocket = (): PassThrough & Socket => new PassThrough() as unknown as PassThrough & Socket;

describe('openWire', () => {
  it('hears one message a line, however it comes', async () => {
    const socket = aSocket();
    const wire = openWire(socket);
    const first = wire.hear();
    socket.write('{"a":');
    socket.write('1}\n{"b":"ü');
    expect(await first).toEqual({ a: 1 });
    socket.write('"}\n');
    expect(await wire.hear()).toEqual({ b: 'ü' });
  });

  it('says what was heard before the other side went, and then that it is gone', async () => {
    const socket = aSocket();
    const wire = openWire(socket);
    socket.write('{"last":true}\n{"torn"');
    expect(await wire.hear()).toEqual({ last: true });
    const next = wire.hear();
    socket.destroy();
    await expect(next).rejects.toThrow('gone');
    expect(wire.over.aborted).toBe(true);
  });
});
