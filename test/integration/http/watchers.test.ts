import { type ClientRequest, createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createNodeFeed } from '../../../src/http/nodes/feed';
import { createOutlet } from '../../../src/http/nodes/outlet';
import { createWatchers } from '../../../src/http/nodes/watchers';
import { systemClock } from '../../../src/lib/clock';
import { silentLogger } from '../../../src/lib/logger';
import type { User } from '../../../src/modules/accounts';
import { recordEvent } from '../../../src/modules/audit';
import { eventually } from '../../lab';
import { aLease, aNode, aUser } from '../../support/builders';
import { rows } from '../../support/database';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import type { Node, Page } from '../../../src/contract';

const NODES = 1_200;
const PER_USER = 20;

const database = useTestDatabase({ resetEach: true });
const api = useTestApi(database);
const admin = useUser(database, { role: 'admin' });
const open: ClientRequest[] = [];
afterEach(() => open.splice(0).forEach((request) => request.destroy()));

const fillFleet = (): Promise<unknown> =>
  database.db.raw(
    `INSERT INTO nodes (hostname, address, ssh_port, host_key, host_key_fingerprint, status, dirty, cpus, memory_mb, labels, facts, next_uid, last_checked_at)
     SELECT CONCAT('n', seq), '127.0.0.1', 22, 'ssh-ed25519 AAAA', CONCAT('f', seq), IF(seq % 100 = 0, 'dead', 'alive'), 0, 1, 1024, '{}', '{}', 70000, UTC_TIMESTAMP(3) FROM seq_1_to_${NODES}`,
  );

/** What a client makes of the stream: the fleet as it is told. */
interface Watching {
  status: number;
  complete: boolean;
  fleet: Map<number, Node>;
  pages: number;
}

function apply(watching: Watching, block: string): void {
  const [, event = '', text = 'null'] = /^event: (.+)\ndata: (.+)$/.exec(block) ?? [];
  const data = JSON.parse(text) as (Node & { items: Node[]; more: boolean }) | null;
  if (event === 'snapshot' || event === 'nodes') {
    watching.pages += 1;
    watching.complete = data?.more === false;
    data?.items.forEach((node) => watching.fleet.set(node.id, node));
  } else if (event === 'node' && data) {
    watching.fleet.set(data.id, data);
  } else if (event === 'gone' && data) {
    watching.fleet.delete(data.id);
  }
}

function watch(as: User): Watching {
  const watching: Watching = { status: 0, complete: false, fleet: new Map(), pages: 0 };
  let text = '';
  const read = (response: IncomingMessage): void => {
    watching.status = response.statusCode ?? 0;
    response.setEncoding('utf8').on('data', (chunk: string) => {
      const blocks = (text + chunk).split('\n\n');
      text = blocks.pop() ?? '';
      blocks.forEach((block) => apply(watching, block));
    });
  };
  open.push(
    get(`${api.url}/api/nodes/stream`, { agent: false, headers: { Authorization: `Bearer ${api.tokenOf(as)}` } }, read).on(
      'error',
      () => undefined,
    ),
  );
  return watching;
}

const untilComplete = (all: Watching[]): Promise<unknown> =>
  eventually(() => all.every(({ complete }) => complete), { what: 'every snapshot is whole', timeoutMs: 60_000 });

async function listAll(as: User): Promise<Map<number, Node>> {
  const all = new Map<number, Node>();
  for (let cursor: string | null = '0'; cursor !== null;) {
    const { body }: { body: Page<Node> } = await api.call<Page<Node>>('get', `/api/nodes?limit=500&cursor=${cursor}`, { as });
    // The stream does not tell which nodes were the same machine.
    body.items.forEach((node) => all.set(node.id, { ...node, predecessor_id: undefined, successor_id: undefined }));
    cursor = body.next_cursor;
  }
  return all;
}

const sorted = (fleet: Map<number, Node>): Node[] => [...fleet.values()].sort((a, b) => a.id - b.id);

describe('many watchers of a large fleet', () => {
  it('R15: a snapshot of several pages is what the list says, for admins and for users', async () => {
    await fillFleet();
    const user = await aUser(database.db);
    const [first] = await rows<{ id: number }>(database.db, 'SELECT MIN(id) AS id FROM nodes');
    await aLease(database.db, { userId: user.id, nodeId: first?.id ?? 0 });
    const [asAdmin, asUser] = [watch(admin), watch(user)];
    await untilComplete([asAdmin, asUser]);
    expect(asAdmin.pages).toBe(3);
    expect(sorted(asAdmin.fleet)).toEqual(sorted(await listAll(admin)));
    expect(sorted(asUser.fleet)).toEqual(sorted(await listAll(user)));
    expect(asUser.fleet.get(first?.id ?? 0)?.lease_id).toEqual(expect.any(Number));
  }, 60_000);

  it('R15: nothing is missed between a snapshot and the changes after it, whenever a watcher comes', async () => {
    await fillFleet();
    const user = await aUser(database.db);
    const ids = (await rows<{ id: number }>(database.db, 'SELECT id FROM nodes ORDER BY id')).map(({ id }) => id);
    const all: Watching[] = [];
    for (let n = 0; n < 60; n += 1) {
      const id = ids[(n * 197) % ids.length] ?? 0;
      expect(
        (
          await api.call('post', `/api/nodes/${id}/${n % 3 === 2 ? 'undrain' : 'drain'}`, {
            as: admin,
            body: n % 3 === 2 ? {} : { move: false },
          })
        ).status,
      ).toBe(200);
      if (n % 4 === 0) {
        all.push(watch(n % 8 === 0 ? admin : user));
      }
    }
    await untilComplete(all);
    const [forAdmin, forUser] = [sorted(await listAll(admin)), sorted(await listAll(user))];
    const agrees = ({ fleet }: Watching, nth: number): boolean =>
      JSON.stringify(sorted(fleet)) === JSON.stringify(nth % 2 === 0 ? forAdmin : forUser);
    await eventually(() => all.every(agrees), { what: 'every watcher knows the fleet as it is' });
  }, 60_000);

  it('R15: what a change costs the database does not grow with those who watch', async () => {
    const node = await aNode(database.db);
    const db = database.secondPool();
    const pool = db.client as { acquireConnection: () => Promise<unknown> };
    const acquire = pool.acquireConnection.bind(pool);
    let statements = 0;
    pool.acquireConnection = () => {
      statements += 1;
      return acquire();
    };
    const feed = createNodeFeed({ db, clock: systemClock, logger: silentLogger });
    const users = await Promise.all(Array.from({ length: 50 }, () => aUser(database.db)));
    const told = new Map<Buffer, number>();
    let tellings = 0;
    users.forEach(({ id }) =>
      Array.from({ length: PER_USER }, () =>
        feed.watch(id, (news) => {
          const bytes = news.forUser(id);
          told.set(bytes, (told.get(bytes) ?? 0) + 1);
          tellings += 1;
        }),
      ),
    );
    feed.start();
    await eventually(() => statements >= 3, { what: 'the feed has begun' });
    const before = statements;
    await aLease(database.db, { userId: users[0]?.id ?? 0, nodeId: node.id });
    await recordEvent(database.db, { type: 'lease.active', actor: 'test', nodeId: node.id });
    await eventually(() => tellings === 1_000, { what: 'all are told' });
    await feed.stop();
    expect(statements - before).toBeLessThan(20);
    // One text for all but the tenant.
    expect([...told.values()].some((times) => times === 980)).toBe(true);
  }, 30_000);

  it('R15: a thousand watchers are told of a change; one user has twenty at most', async () => {
    const node = await aNode(database.db);
    const users = await Promise.all(Array.from({ length: 1_000 / PER_USER }, () => aUser(database.db)));
    const all = users.flatMap((user) => Array.from({ length: PER_USER }, () => watch(user)));
    await untilComplete(all);
    const [first] = users;
    const tooMany = first && watch(first);
    await eventually(() => tooMany?.status === 429, { what: 'the twenty-first is refused' });
    await api.call('post', `/api/nodes/${node.id}/drain`, { as: admin, body: { move: false } });
    await eventually(() => all.every(({ fleet }) => fleet.size === 0), { what: 'all know', timeoutMs: 20_000 });
    open.splice(0, 1).forEach((request) => request.destroy());
    await eventually(
      () => {
        const again = first && watch(first);
        return eventually(() => again?.status === 200, { what: 'an answer', timeoutMs: 200 });
      },
      { what: 'whoever ends one may begin another' },
    );
  }, 60_000);
});

describe('a replica that is full of watchers', () => {
  it('refuses more with 503 until one leaves, however many users they are', () => {
    const watchers = createWatchers(systemClock, 3);
    const leave = [1, 2, 3].map((userId) => watchers.add(userId, () => undefined));
    expect(() => watchers.add(4, () => undefined)).toThrow(expect.objectContaining({ code: 'unavailable', retryAfterSeconds: 10 }));
    leave[0]?.();
    leave[0]?.();
    expect(() => watchers.add(4, () => undefined)).not.toThrow();
    expect(() => watchers.add(5, () => undefined)).toThrow();
  });
});

describe('a watcher that does not read', () => {
  /** An answer that nobody reads. */
  async function unread(): Promise<{ res: ServerResponse; end: () => void }> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port }).on('error', () => undefined);
    socket.pause();
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const [, res] = (await once(server, 'request')) as [IncomingMessage, ServerResponse];
    res.on('error', () => undefined);
    return {
      res,
      end: () => {
        socket.destroy();
        server.close();
      },
    };
  }
  const PIECE = Buffer.alloc(256 * 1024, 'x');

  it('is owed some megabytes at most, then cut', async () => {
    const { res, end } = await unread();
    const outlet = createOutlet(res);
    for (let pieces = 0; pieces < 200 && !res.destroyed; pieces += 1) {
      outlet.write(PIECE);
      expect(res.writableLength).toBeLessThan(9 * 1024 * 1024);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(res.destroyed).toBe(true);
    end();
  });

  it('is cut when it has read nothing for some signs of life; until then the next page waits', async () => {
    const { res, end } = await unread();
    const outlet = createOutlet(res);
    await eventually(
      () => {
        outlet.write(PIECE);
        return res.writableNeedDrain;
      },
      { what: 'the connection is full', everyMs: 1 },
    );
    let taken = false;
    const waiting = outlet.taken().then(() => (taken = true));
    [1, 2].forEach(() => outlet.ping(Buffer.from(':\n\n')));
    expect({ cut: res.destroyed, taken }).toEqual({ cut: false, taken: false });
    outlet.ping(Buffer.from(':\n\n'));
    expect(res.destroyed).toBe(true);
    await waiting;
    end();
  });
});
