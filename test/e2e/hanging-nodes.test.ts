import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { eventually, freePort, generateSshKeyPair, type Worker } from '../lab';
import { useFleet, useSystem, useTenant } from '../support/hooks';
import { enrolMachine } from '../support/machine';
import type { NodeForAdmin } from '../../src/contract';
import { inside, workerOf } from './support/inside';

const WORKERS = 4;

describe('nodes that hang or flood do not block the others', () => {
  const system = useSystem({ apis: 1, schedulers: 1 });
  const fleet = useFleet(system, WORKERS);
  const ada = useTenant(system);

  /** A machine that enrols like any other and whose SSH port does `onConnect`. */
  const enrolHanging = async (hostname: string, onConnect: (socket: Socket) => void): Promise<{ connections: () => number }> => {
    const port = await freePort();
    const sockets = new Set<Socket>();
    let connections = 0;
    const server: Server = createServer((socket) => {
      connections += 1;
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => sockets.delete(socket));
      onConnect(socket);
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    system.lab.push(hostname, () => {
      sockets.forEach((socket) => socket.destroy());
      server.close();
    });
    const { publicKey, keyFile } = await generateSshKeyPair(system.lab.dir, hostname);
    await enrolMachine(
      system,
      { hostname, ssh_port: port, address: '127.0.0.1', host_key: publicKey.split(' ').slice(0, 2).join(' ') },
      readFileSync(keyFile, 'utf8'),
    );
    return { connections: () => connections };
  };

  /** How long ago each worker was last checked, by the database's clock, in seconds; the oldest. */
  const oldestCheck = async (): Promise<number> => {
    const names = fleet.workers.map(({ name }) => name);
    const [row] = await system.sql<{ age: string }>(
      `SELECT MAX(TIMESTAMPDIFF(MICROSECOND, last_checked_at, UTC_TIMESTAMP(3)) / 1000000) AS age FROM nodes WHERE hostname IN (${names.map(() => '?').join(',')})`,
      names,
    );
    return Number(row?.age);
  };

  it('I10: nodes that take connections and never answer, or send a banner without end, delay neither the probes nor the leases of others', async () => {
    const silent = await Promise.all(Array.from({ length: 4 }, (_, i) => enrolHanging(`silent-${i}`, () => undefined)));
    const endless = await Promise.all(
      Array.from({ length: 4 }, (_, i) =>
        enrolHanging(`endless-${i}`, (socket) => {
          const chunk = Buffer.alloc(16_384, 'no SSH here\r\n');
          const pour = (): void => {
            while (!socket.destroyed && socket.write(chunk)) {
              // Until the buffer is full; 'drain' goes on.
            }
          };
          socket.on('drain', pour);
          pour();
        }),
      ),
    );

    let worst = 0;
    const watching = new AbortController();
    const watch = (async () => {
      while (!watching.signal.aborted) {
        worst = Math.max(worst, await oldestCheck());
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    })();
    await eventually(() => [...silent, ...endless].every(({ connections }) => connections() >= 2), {
      what: 'every such node was tried twice',
      timeoutMs: 30_000,
    });

    const lease = await ada.rentOne();
    expect((await ada.login(lease, 'true')).code).toBe(0);
    await ada.release(lease.id);
    await ada.untilLease(lease.id, 'has been wiped', ({ state }) => state === 'ended', 15_000);
    await eventually(async () => (await hanging()).every(({ status }) => status === 'dead' || status === 'quarantined'), {
      what: 'the nodes that hang or flood are judged',
      timeoutMs: 30_000,
      everyMs: 100,
    });
    watching.abort();
    await watch;

    // One second is the interval; what is more is the load of two cores.
    expect(worst).toBeLessThan(5);
    expect((await system.nodes()).filter(({ hostname, status }) => hostname.startsWith('worker-') && status === 'alive')).toHaveLength(
      WORKERS,
    );
    const metrics = await (await fetch(`${system.schedulers[0]?.url ?? ''}/metrics`)).text();
    expect(Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1])).toBeLessThan(600e6);
  }, 90_000);

  const hanging = async (): Promise<NodeForAdmin[]> => (await system.nodes()).filter(({ hostname }) => /^(silent|endless)-/.test(hostname));

  it('I10: a node on which no account can be made costs a rent nothing but time: it goes elsewhere in the same request, and the node is withheld with the reason', async () => {
    const [broken] = fleet.workers;
    if (!broken) {
      throw new Error('no worker');
    }
    await system.untilFree(fleet.workers.length);
    // Whatever edits accounts needs to replace this file; a mount point cannot be replaced.
    await inside(
      broken,
      'cp /etc/passwd /run/passwd.frozen && mount --bind /run/passwd.frozen /etc/passwd && mount -o remount,ro,bind /etc/passwd',
    );
    // The tightest fit comes first: so a rent reaches for the broken one.
    await system.sql('UPDATE nodes SET cpus = cpus + 1 WHERE hostname <> ?', [broken.name]);

    const bounced = await ada.rentOne();
    expect(bounced.generation).toBeGreaterThan(1);
    expect(workerOf(fleet, bounced).name).not.toBe(broken.name);
    expect((await ada.login(bounced, 'true')).code).toBe(0);

    const withheld = await untilLookedAt(broken, undefined);
    expect(withheld).toMatchObject({ status: 'alive', free: false, withheld_reason: expect.stringContaining('/etc/passwd') });
    const again = await untilLookedAt(broken, withheld.checked_at);
    await untilLookedAt(broken, again.checked_at);
    expect(await system.sql('SELECT id FROM events WHERE type = ? AND node_id = ?', ['node.withheld', withheld.id])).toHaveLength(1);

    const straight = await ada.rentOne();
    expect(straight.generation).toBe(1);
    await ada.release(bounced.id);
    await ada.release(straight.id);
  }, 120_000);

  /** Waits until the node was found unfit at another time than `before`. */
  const untilLookedAt = (broken: Worker, before: string | null | undefined): Promise<NodeForAdmin> =>
    eventually(
      async () => {
        const node = await system.node(broken.name);
        return node.withheld_reason !== null && node.checked_at !== before ? node : undefined;
      },
      { what: 'the broken node was looked at', timeoutMs: 40_000, everyMs: 50 },
    );

  it('I1–I10: after all this the checker finds nothing wrong', async () => {
    expect(await system.violations()).toEqual([]);
  });
});
