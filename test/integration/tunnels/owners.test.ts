import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { transaction } from '../../../src/db/transaction';
import { newClaimToken } from '../../../src/lib/ids';
import { approveNode } from '../../../src/modules/nodes';
import { announceOwner, findTunnel, nextAnnouncement, recordTunnel, sweepOwners, type TunnelOwner } from '../../../src/modules/tunnels';
import { relayToken } from '../../../src/modules/tunnels/relay-tokens';
import { eventually, freePort, run } from '../../lab';
import { aNode, type TestNode } from '../../support/builders';
import { age, count, row } from '../../support/database';
import { useForAll, useTestDatabase } from '../../support/hooks';
import { dialNode, expectEcho, type Owner, OLDER, startAgent, startOwner, untilTunnel, useOwner, useSshd } from './support';

jest.setTimeout(30_000);

const database = useTestDatabase();
const sshd = useSshd();

const agents: { stop(): Promise<void> }[] = [];
const stopAgents = (): Promise<unknown> => Promise.all(agents.splice(0).map((agent) => agent.stop()));
const join = (endpoint: string, { credential }: TestNode): { stop(): Promise<void> } => {
  const agent = startAgent(endpoint, credential, sshd);
  agents.push(agent);
  return agent;
};
const status = async ({ id }: TestNode): Promise<string> =>
  (await row<{ status: string }>(database.db, 'SELECT status FROM nodes WHERE id = ?', [id])).status;

describe('a machine that waits for approval', () => {
  it('has no tunnel, and gets one soon after it is approved, from the agent that kept asking', async () => {
    const owner = await startOwner(database.db);
    const node = await aNode(database.db, { status: 'pending' });
    const asked = new Promise((resolve) => owner.server.once('upgrade', resolve));
    join(owner.url, node);
    await asked;
    await eventually(
      async () => (await new Promise<number>((resolve) => owner.server.getConnections((_error, open) => resolve(open)))) === 0,
      { what: 'the agent is refused' },
    );
    expect([owner.hub.list(), await count(database.db, 'SELECT COUNT(*) FROM tunnels')]).toEqual([[], 0]);
    await transaction(database.db, (tx) => approveNode(tx, node.id));
    await untilTunnel(database.db, node.id);
    await expectEcho(await dialNode(database.db, node.id));
    await stopAgents();
    await owner.close();
  });
});

describe('the relay', () => {
  afterAll(stopAgents);
  const [owner, other] = [useOwner(database), useOwner(database)];
  const node = useForAll(() => aNode(database.db));
  beforeAll(async () => {
    join(owner.url, node);
    await untilTunnel(database.db, node.id);
  });

  /** The owner as the rest of the control plane reads it. */
  const readOwner = async ({ id }: Owner): Promise<TunnelOwner> => {
    const read = await row<{ url: string; relay_key: string; announced: string }>(
      database.db,
      'SELECT url, relay_key, CAST(expires_at AS CHAR) AS announced FROM tunnel_holders WHERE id = ?',
      [id],
    );
    return { id, url: read.url, key: read.relay_key, announced: read.announced };
  };

  const ask = async (path: string, token: string | undefined, upgrade?: string): Promise<string> => {
    const headers = [
      ...(token === undefined ? [] : [`Authorization: ${token}`]),
      ...(upgrade === undefined ? [] : ['Connection: Upgrade', `Upgrade: ${upgrade}`]),
    ];
    const { stdout } = await run(
      'curl',
      ['-s', '-i', '-m', '5', ...headers.flatMap((header) => ['-H', header]), `${owner.relayUrl}${path}`],
      {},
    );
    return stdout.split('\r\n')[0] ?? '';
  };

  it('gives nothing to anybody without the token of this node at this owner, and tells nobody why', async () => {
    const [shown, another] = [await readOwner(owner), await readOwner(other)];
    const right = `Bearer ${relayToken(shown, node.id)}`;
    const wrong = [
      undefined,
      'Bearer',
      'Bearer x',
      `Bearer ${'x'.repeat(5000)}`,
      right.replace('Bearer', 'Basic'),
      `${right}x`,
      right.slice(0, -1),
      `Bearer ${relayToken(shown, node.id + 1)}`,
      `Bearer ${relayToken(another, node.id)}`,
      `Bearer ${relayToken({ ...shown, key: another.key }, node.id)}`,
      `Bearer ${relayToken({ ...shown, announced: '' }, node.id)}`,
      `Bearer ${node.credential}`,
    ];
    for (const upgrade of [undefined, 'orion-tunnel']) {
      for (const token of wrong) {
        expect([token, await ask(`/tunnels/${node.id}`, token, upgrade)]).toEqual([token, 'HTTP/1.1 404 Not Found']);
      }
    }
    for (const path of [
      '/',
      '/tunnels',
      `/tunnels/${node.id}/`,
      `/tunnels/0${node.id}`,
      `/tunnels/${node.id}?x`,
      '/tunnels/9007199254740993',
    ]) {
      expect(await ask(path, right, 'orion-tunnel')).toBe('HTTP/1.1 404 Not Found');
    }
    expect(await ask(`/tunnels/${node.id}`, right, 'websocket')).toBe('HTTP/1.1 404 Not Found');
    expect(await ask(`/tunnels/${node.id}`, right)).toBe('HTTP/1.1 200 OK');
  }, 30_000);

  it('keeps no connection of somebody who was refused and keeps his half open', async () => {
    const { hostname, port } = new URL(owner.relayUrl);
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    socket.write(`GET /tunnels/${node.id} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: orion-tunnel\r\n\r\n`);
    let reset = false;
    socket
      .on('error', () => {
        reset = true;
      })
      .resume();
    // The far end of a connection that is closed on both sides answers with a reset.
    await eventually(() => reset || !socket.write('x') || socket.destroyed, { what: 'the connection is gone on its side too' });
    socket.destroy();
  });

  it('the real way through it works', async () => {
    await expectEcho(await dialNode(database.db, node.id));
  });

  it('a token that was overheard is worth nothing half a minute later', async () => {
    const overheard = `Bearer ${relayToken(await readOwner(owner), node.id)}`;
    expect(await ask(`/tunnels/${node.id}`, overheard)).toBe('HTTP/1.1 200 OK');
    await eventually(async () => (await ask(`/tunnels/${node.id}`, overheard)) === 'HTTP/1.1 404 Not Found', {
      what: 'the token is over',
      timeoutMs: 50_000,
      everyMs: 500,
    });
    await expectEcho(await dialNode(database.db, node.id));
  }, 60_000);

  it('a dialler of the release before, whose tokens do not end, is let in during an update', async () => {
    expect(await ask(`/tunnels/${node.id}`, `Bearer ${OLDER.sign(owner.id, node.id)}`)).toBe('HTTP/1.1 200 OK');
  });
});

describe('an owner of the previous release', () => {
  it('is shown the token that it knows by an API, and none by a scheduler or a gateway, which have no key for one', async () => {
    const tokens: string[] = [];
    const node = await aNode(database.db);
    const old = { id: newClaimToken(), url: '', key: null };
    const server = createHttpServer().on('upgrade', (req, socket) => {
      tokens.push((req.headers.authorization ?? '').replace('Bearer ', ''));
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: orion-tunnel\r\n\r\n');
      socket.pipe(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    old.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await announceOwner(database.db, { ...old, announced: await nextAnnouncement(database.db, 15) });
    await recordTunnel(database.db, node.id, { token: newClaimToken(), ownerId: old.id });
    await expect(dialNode(database.db, node.id, 700)).rejects.toThrow('the replica that holds its tunnel does not answer');
    await expectEcho(await dialNode(database.db, node.id, 10_000, OLDER));
    expect(tokens).toEqual([OLDER.sign(old.id, node.id)]);
    server.close();
    server.closeAllConnections();
  });
});

describe('a owner that is gone', () => {
  afterAll(stopAgents);

  const deadOwner = async (): Promise<Pick<TunnelOwner, 'id'>> => {
    const dead = { id: newClaimToken(), key: 'a key', url: `http://127.0.0.1:${await freePort()}` };
    await announceOwner(database.db, { ...dead, announced: await nextAnnouncement(database.db, 15) });
    return dead;
  };

  it("whoever dials waits for the next tunnel, and says in the end that it is not the machine's fault", async () => {
    const owner = await startOwner(database.db);
    const dead = await deadOwner();
    const node = await aNode(database.db);
    await recordTunnel(database.db, node.id, { token: newClaimToken(), ownerId: dead.id });
    await expect(dialNode(database.db, node.id, 700)).rejects.toThrow('the replica that holds its tunnel does not answer');
    const dialling = dialNode(database.db, node.id);
    join(owner.url, node);
    await expectEcho(await dialling);
    expect(await status(node)).toBe('alive');
    await owner.close();
  }, 20_000);

  it('a tunnel that is on record and not held is no way, and is replaced by the next', async () => {
    const owner = await startOwner(database.db);
    const node = await aNode(database.db);
    await recordTunnel(database.db, node.id, { token: newClaimToken(), ownerId: owner.id });
    await expect(dialNode(database.db, node.id, 700)).rejects.toThrow('the replica that holds its tunnel does not answer');
    join(owner.url, node);
    await expectEcho(await dialNode(database.db, node.id));
    expect(await status(node)).toBe('alive');
    await owner.close();
  }, 20_000);

  it('its time expires, and later it is forgotten with its tunnels', async () => {
    const dead = await deadOwner();
    const node = await aNode(database.db);
    await recordTunnel(database.db, node.id, { token: newClaimToken(), ownerId: dead.id });
    await age(database.db, 'UPDATE tunnel_holders SET expires_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND WHERE id = ?', [dead.id]);
    expect(await findTunnel(database.db, node.id)).toMatchObject({ alive: false });
    await age(database.db, 'UPDATE tunnel_holders SET expires_at = UTC_TIMESTAMP(3) - INTERVAL 601 SECOND WHERE id = ?', [dead.id]);
    await sweepOwners(database.db, 600);
    expect(await findTunnel(database.db, node.id)).toBeUndefined();
    await expect(dialNode(database.db, node.id)).rejects.toThrow('it has no tunnel');
  });
});

describe('one credential, used twice', () => {
  afterAll(stopAgents);
  const owners = [useOwner(database), useOwner(database)] as const;

  it.each([
    ['the same replica', 0],
    ['two replicas', 1],
  ] as const)(
    'from two places, at %s: both tunnels end and the node is in quarantine',
    async (_where, second) => {
      const node = await aNode(database.db);
      join(owners[0].url, node);
      await untilTunnel(database.db, node.id);
      join(owners[second].url, node);
      await eventually(async () => (await status(node)) === 'quarantined', { what: 'it is in quarantine' });
      await eventually(() => owners.every(({ hub }) => !hub.list().some(({ nodeId }) => nodeId === node.id)), {
        what: 'nobody holds a tunnel of it',
        timeoutMs: 15_000,
      });
      expect(await count(database.db, 'SELECT COUNT(*) FROM tunnels WHERE node_id = ?', [node.id])).toBe(0);
      const { data } = await row<{ data: string }>(database.db, "SELECT data FROM events WHERE node_id = ? AND type = 'node.quarantined'", [
        node.id,
      ]);
      expect(JSON.stringify(data)).toContain('its credential is used from two places');
    },
    30_000,
  );

  it('from two places in the same moment: the same', async () => {
    const node = await aNode(database.db);
    owners.forEach(({ url }) => join(url, node));
    await eventually(async () => (await status(node)) === 'quarantined', { what: 'it is in quarantine', timeoutMs: 25_000 });
    await eventually(() => owners.every(({ hub }) => !hub.list().some(({ nodeId }) => nodeId === node.id)), {
      what: 'nobody holds a tunnel of it',
      timeoutMs: 15_000,
    });
  }, 45_000);

  it('a node that an operator shuts out loses the tunnel that it has', async () => {
    const node = await aNode(database.db);
    join(owners[0].url, node);
    await untilTunnel(database.db, node.id);
    await age(database.db, "UPDATE nodes SET status = 'quarantined' WHERE id = ?", [node.id]);
    await eventually(() => !owners[0].hub.list().some(({ nodeId }) => nodeId === node.id), { what: 'it is dropped', timeoutMs: 15_000 });
  }, 20_000);

  it('an agent that starts again, again and again, is none of that', async () => {
    const node = await aNode(database.db);
    for (let i = 0; i < 5; i++) {
      const agent = startAgent(owners[i % 2]?.url ?? '', node.credential, sshd);
      await untilTunnel(database.db, node.id, owners[i % 2]);
      await agent.stop();
    }
    expect(await status(node)).toBe('alive');
  }, 30_000);

  it('nor is one whose network breaks: cut, or silent so that neither side hears of the end', async () => {
    const node = await aNode(database.db);
    const path = await startPath(Number(new URL(owners[0].url).port));
    join(path.url, node);
    let token = await untilTunnel(database.db, node.id);
    for (const way of ['cut', 'freeze'] as const) {
      path[way]();
      if (way === 'freeze') {
        // Long before the old one is given up: the machine was restarted and asks again.
        join(owners[1].url, node);
      }
      const before = token;
      token = await eventually(
        async () => {
          const found = (await findTunnel(database.db, node.id))?.token;
          return found !== before && found;
        },
        { what: `there is a new tunnel after ${way}`, timeoutMs: 20_000 },
      );
    }
    expect(await status(node)).toBe('alive');
    path.close();
  }, 60_000);

  it('nor is one whose replica goes: it opens the next while the last one still serves', async () => {
    const node = await aNode(database.db);
    const [going, staying] = [await startOwner(database.db), await startOwner(database.db)];
    // A proxy in front of both, as in life.
    const path = await startPath(Number(new URL(going.url).port));
    join(path.url, node);
    await untilTunnel(database.db, node.id, going);
    const stream = await dialNode(database.db, node.id);
    path.lead(Number(new URL(staying.url).port));
    going.stopping.abort();
    going.keeper.dismiss();
    await untilTunnel(database.db, node.id, staying);
    await expectEcho(stream);
    await going.close();
    await expectEcho(await dialNode(database.db, node.id));
    expect(await status(node)).toBe('alive');
    path.close();
    await staying.close();
  }, 30_000);
});

interface Path {
  url: string;
  /** Both sides see the end. */
  cut(): void;
  /** What is open stands still, and nobody hears of it. */
  freeze(): void;
  /** Where new connections go. */
  lead(port: number): void;
  close(): void;
}

/** The network between an agent and its replica. */
async function startPath(port: number): Promise<Path> {
  let to = port;
  const pairs = new Set<[Socket, Socket]>();
  const all = (): Socket[] => [...pairs].flat();
  const server: Server = createServer((from) => {
    const onward = connect({ host: '127.0.0.1', port: to });
    const pair: [Socket, Socket] = [from, onward];
    pairs.add(pair);
    for (const [one, other] of [pair, [...pair].reverse() as [Socket, Socket]]) {
      one
        .on('error', () => undefined)
        .once('close', () => {
          other.destroy();
          pairs.delete(pair);
        });
      one.pipe(other);
    }
  });
  server.listen(0, '127.0.0.1');
  await eventually(() => server.listening, { what: 'the path is open' });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut: () => all().forEach((socket) => socket.destroy()),
    freeze: () => {
      for (const [one, other] of pairs) {
        one.unpipe(other);
        other.unpipe(one);
        one.pause();
        other.pause();
      }
    },
    lead: (next) => {
      to = next;
    },
    close: () => {
      server.close();
      all().forEach((socket) => socket.destroy());
    },
  };
}
