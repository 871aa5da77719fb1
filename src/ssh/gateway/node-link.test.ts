import { type AddressInfo, connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import ssh2, { type AuthContext, type Connection } from 'ssh2';
import { anOpenSshKeyPair } from '../../../test/support/keys';
import { systemClock } from '../../lib/clock';
import { causeOf } from '../../lib/origin';
import { createNodeLink, type NodeLink } from './node-link';
import type { NodeConnection } from './node-login';

const key = anOpenSshKeyPair();

/** Creates a link to a real SSH server in this process. Returns it with the nodes that it reported as suspect. */
async function aLink({
  banner,
  welcome = (ctx) => ctx.accept(),
}: { banner?: string; welcome?: (ctx: AuthContext, connection: Connection) => void } = {}): Promise<{
  link: NodeLink;
  suspected: number[];
  cut: () => void;
  gone: Promise<void>;
}> {
  const connections: Connection[] = [];
  let left = (): void => undefined;
  const gone = new Promise<void>((resolve) => (left = resolve));
  const server = new ssh2.Server({ hostKeys: [key.private], ...(banner === undefined ? {} : { banner }) }, (connection) => {
    connections.push(connection);
    connection
      .on('error', () => undefined)
      .on('authentication', (ctx) => welcome(ctx, connection))
      .once('close', () => left());
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', () => resolve()));
  open.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const suspected: number[] = [];
  const target = { nodeId: 7, address: '127.0.0.1', port, hostKey: key.public.split(' ').slice(0, 2).join(' '), reach: 'direct' as const };
  const link = createNodeLink({
    gatewayClient: { leaseId: 1, address: '127.0.0.1', publicKey: key.public.split(' ').slice(0, 2).join(' '), cause: causeOf(null) },
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
      causeOf: () => Promise.resolve(causeOf(null)),
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

  it('gives up soon on a node that closes the connection instead of letting the account in, and passes on what the node says', async () => {
    let asked = 0;
    const { link, suspected } = await aLink({
      banner: 'System is going down.\x1b[2J\r\nUnprivileged users are not permitted to log in.',
      // sshd does the same when PAM's account rules refuse the account.
      welcome: (_ctx, connection) => {
        asked += 1;
        connection.end();
      },
    });
    const began = performance.now();
    expect(await link.connect()).toEqual({
      refused:
        "one refuses the login of this lease's account orn-a. It answers: System is going down. [2J Unprivileged users are not permitted to log in.",
    });
    expect(performance.now() - began).toBeLessThan(8_000);
    expect({ asked, suspected }).toEqual({ asked: 3, suspected: [7, 7, 7] });
  }, 15_000);

  it('goes on waiting for a node that lets the account in at the third time', async () => {
    let asked = 0;
    const { link } = await aLink({ welcome: (ctx) => (++asked < 3 ? ctx.reject(['publickey']) : ctx.accept()) });
    expect(await link.connect()).toHaveProperty('client');
  }, 15_000);
});
