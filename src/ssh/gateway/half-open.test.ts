import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../../lib/clock';
import { createHalfOpen, type HalfOpen } from './half-open';

/** The part of a socket that the code reads. */
class FakeSocket extends EventEmitter {
  bytesRead = 0;
  destroyed = false;
  constructor(
    readonly remoteAddress: string,
    readonly remotePort: number,
  ) {
    super();
    sockets.push(this);
  }
  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
  say(bytes: number): void {
    this.bytesRead += bytes;
    this.emit('data', Buffer.alloc(bytes));
  }
}

const sockets: FakeSocket[] = [];
// Ends the timers of the connections.
afterEach(() => sockets.splice(0).forEach((socket) => socket.destroy()));

let port = 1000;
function come(halfOpen: HalfOpen, address: string): { socket: FakeSocket; admitted: boolean } {
  const socket = new FakeSocket(address, ++port);
  const admitted = halfOpen.admit(socket as unknown as Socket, address);
  halfOpen.listenTo(socket as unknown as Socket);
  return { socket, admitted };
}

describe('connections that have proved nothing', () => {
  it('64 from one address, however many come; each that goes or proves who it is makes room', () => {
    const halfOpen = createHalfOpen(systemClock);
    const come64 = Array.from({ length: 64 }, () => come(halfOpen, 'a'));
    expect(come64.every(({ admitted }) => admitted)).toBe(true);
    expect(come(halfOpen, 'a').admitted).toBe(false);
    expect(come(halfOpen, 'b').admitted).toBe(true);
    come64[0]?.socket.destroy();
    expect(come(halfOpen, 'a').admitted).toBe(true);
    const { socket } = come64[1] as { socket: FakeSocket };
    expect(halfOpen.passed('a', socket.remotePort)).toBe(socket);
    expect(halfOpen.passed('a', socket.remotePort)).toBeUndefined();
    expect(come(halfOpen, 'a').admitted).toBe(true);
  });

  it('when there are too many at all, the oldest of the address that has most goes, and not whoever comes alone', () => {
    const halfOpen = createHalfOpen(systemClock);
    const alone = come(halfOpen, 'alone').socket;
    const crowd = Array.from({ length: 511 }, (_, i) => come(halfOpen, `crowd ${i % 9}`).socket);
    const next = come(halfOpen, 'next');
    expect([next.admitted, alone.destroyed, crowd.filter(({ destroyed }) => destroyed)]).toEqual([true, false, [crowd[0]]]);
  });

  it('64 from one IPv6 network and 256 from one customer, whichever of their addresses they use; neighbours have their own', () => {
    const halfOpen = createHalfOpen(systemClock);
    const ofNetwork = Array.from({ length: 65 }, (_, i) => come(halfOpen, `2001:db8:0:100::${i}`).admitted);
    expect([ofNetwork.slice(0, 64).includes(false), ofNetwork[64]]).toEqual([false, false]);
    const ofCustomer = Array.from({ length: 193 }, (_, i) => come(halfOpen, `2001:db8:0:1${((i % 200) + 16).toString(16)}::1`).admitted);
    expect([ofCustomer.slice(0, 192).includes(false), ofCustomer[192]]).toEqual([false, false]);
    expect(come(halfOpen, '2001:db8:0:200::1').admitted).toBe(true);
  });

  it('when one customer fills the house from many IPv6 networks, its oldest goes, and not whoever comes alone', () => {
    const halfOpen = createHalfOpen(systemClock);
    const alone = come(halfOpen, '2001:db8:ff00:1::1').socket;
    const crowd = Array.from({ length: 511 }, (_, i) => come(halfOpen, `2001:db8:0:${i % 3}${((i % 200) + 16).toString(16)}::1`).socket);
    expect(come(halfOpen, '2001:db8:ee00:1::1').admitted).toBe(true);
    expect([alone.destroyed, crowd[0]?.destroyed, crowd.filter(({ destroyed }) => destroyed).length]).toEqual([false, true, 1]);
  });

  it('one that says too much before it says what it speaks, or before it proves anything, is cut', () => {
    const halfOpen = createHalfOpen(systemClock);
    const endless = come(halfOpen, 'a').socket;
    endless.say(1025);
    expect(endless.destroyed).toBe(false);
    endless.say(1);
    expect(endless.destroyed).toBe(true);
    const talker = come(halfOpen, 'a').socket;
    halfOpen.greeted('a', talker.remotePort);
    talker.say(60_000);
    talker.say(6_000);
    expect(talker.destroyed).toBe(false);
    talker.say(1);
    expect(talker.destroyed).toBe(true);
    const guest = come(halfOpen, 'a').socket;
    halfOpen.passed('a', guest.remotePort);
    for (let i = 0; i < 10; i++) {
      guest.say(100_000);
    }
    expect(guest.destroyed).toBe(false);
  });
});
