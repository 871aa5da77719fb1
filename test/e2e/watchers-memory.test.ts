import { beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { issueAccessToken } from '../../src/modules/accounts';
import { eventually } from '../lab';
import { useSystem } from '../support/hooks';

const USERS = 60;
const PER_USER = 20;
const NODES = 100;

const system = useSystem({ apis: 1, schedulers: 0 });
beforeAll(async () => {
  await system.sql(
    `INSERT INTO users (username, password_hash, max_leases, max_lease_hours) SELECT CONCAT('watcher', seq), 'x', 5, 24 FROM seq_1_to_${USERS}`,
  );
  await system.sql(
    `INSERT INTO nodes (hostname, address, ssh_port, host_key, host_key_fingerprint, status, dirty, cpus, memory_mb, labels, facts, next_uid, last_checked_at)
     SELECT CONCAT('n', seq), '127.0.0.1', 22, 'ssh-ed25519 AAAA', CONCAT('f', seq), 'alive', 0, 1, 1024, '{}', '{}', 70000, UTC_TIMESTAMP(3) FROM seq_1_to_${NODES}`,
  );
}, 60_000);

/** What the API's process has in memory, in MB. */
const residentMb = (): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${system.apis[0]?.pid ?? 0}/status`, 'utf8'))?.[1]) / 1024;

/** Resolves when the answer has begun. */
function watch(userId: number): Promise<Socket> {
  const token = issueAccessToken({ id: userId }, { key: system.env['ORION_JWT_KEY'] ?? '', ttlSeconds: 3600 }, new Date());
  const { port } = new URL(system.apis[0]?.url ?? '');
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(port) }, () =>
      socket.write(`GET /api/nodes/stream HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer ${token}\r\n\r\n`),
    );
    socket.on('error', reject).on('data', () => resolve(socket));
  });
}

describe('many watchers who leave', () => {
  it('give their memory back', async () => {
    const users = await system.sql<{ id: number }>("SELECT id FROM users WHERE username LIKE 'watcher%'");
    // Code is compiled and pools are filled by then.
    (await Promise.all(users.slice(0, 5).map(({ id }) => watch(id)))).forEach((socket) => socket.destroy());
    const before = residentMb();
    const watching: Socket[] = [];
    for (const { id } of users) {
      watching.push(...(await Promise.all(Array.from({ length: PER_USER }, () => watch(id)))));
    }
    const most = residentMb();
    expect(most - before).toBeGreaterThan(30);

    watching.forEach((socket) => socket.destroy());
    await eventually(() => residentMb() < before + 20, { what: `${most.toFixed(0)} MB are ${before.toFixed(0)} again`, timeoutMs: 10_000 });
  }, 120_000);
});
