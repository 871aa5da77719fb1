import { type AddressInfo, connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import ssh2, { type Connection } from 'ssh2';
import { anOpenSshKeyPair } from '../../../test/support/keys';
import { systemClock } from '../../lib/clock';
import { createNodeLink, type NodeLink } from './node-link';
import type { NodeConnection } from './node-login';

const key = anOpenSshKeyPair();

/** A link to a real SSH server in this process, and which nodes it asked to have looked at. */
async function aLink(): Promise<{ link: NodeLink; suspected: number[]; cut: () => void; gone: Promise<void> }> {
  const connections: Connection[] = [];
  let left = (): void => undefined;
  const gone = new Promise<void>((resolve) => (left = resolve));
  const server = new ssh2.Server({ hostKeys: [key.private] }, (connection) => {
    connections.push(connection);
    connection.on('error', () => undefined).on('authentication', (ctx) => ctx.accept()).once('close', () => left());
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', () => resolve()));
  open.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const suspected: number[] = [];
  const target = { nodeId: 7, address: '127.0.0.1', port, hostKey: key.public.split(' ').slice(0, 2).join(' '), reach: 'direct' as const };
  const link = createNodeLink({
    visitor: { leaseId: 1, address: '127.0.0.1', publicKey: key.public.split(' ').slice(0, 2).join(' ') },
    privateKey: key.private,
    clock: systemClock,
    dial: () => Promise.resolve(connect(port, '127.0.0.1')),
    directory: {
      watch: (_id, listener) => {
        listener({ state: 'present', generation: 1, nodeName: 'one', username: 'orn-a', target, endsInSeconds: 60, homeAgeSeconds: null });
        return () => undefined;
      },
      suspect: (id) => void suspected.push(id),
      keysOf: () => Promise.resolve([]),
      connected: () => Promise.resolve(),
      disconnected: () => Promise.resolve(),
    },
  });
  open.push(() => link.close());
  return { link, suspected, cut: () => connections.forEach((connection) => connection.end()), gone };
}

const open: (() => void)[] = [];
afterEach(() => open.splice(0).forEach((close) => close()));

describe('the link of a gateway to a node', () => {
  it('has the node looked at when the node ends the connection', async () => {
    const { link, suspected, cut } = await aLink();
    const made = await link.connect();
    cut();
    await (made as NodeConnection).lost;
    expect(suspected).toEqual([7]);
  });

  it('leaves the node alone when it is the client that went', async () => {
    const { link, suspected, gone } = await aLink();
    const made = await link.connect();
    link.close();
    await Promise.all([(made as NodeConnection).lost, gone]);
    expect(suspected).toEqual([]);
  });
});
