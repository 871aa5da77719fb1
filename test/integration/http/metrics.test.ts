import { beforeAll, describe, expect, it } from '@jest/globals';
import mysql from 'mysql2/promise';
import { eventually, generateSshKeyPair, sshExec } from '../../lab';
import { useGateway, useSystem } from '../../support/hooks';

/** Prometheus waits for 10 s by default, many set-ups for less. */
const LIMIT_MS = 4_000;

const system = useSystem({ apis: 1, schedulers: 1, gateway: true, ownDatabase: true });
const gateway = useGateway(system);
beforeAll(() => aFleetThatNobodyTouches(), 120_000);

/** Three machines that wait for approval, so that no scheduler looks at them, one of them with a lease. */
async function aFleetThatNobodyTouches(): Promise<void> {
  const { userId } = await system.tenant();
  for (const name of ['one', 'two', 'three']) {
    await system.sql(
      `INSERT INTO nodes (hostname, address, ssh_port, host_key, host_key_fingerprint, status, labels, facts, next_uid) VALUES (?, '127.0.0.1', 22, 'k', ?, 'pending', '{}', '{}', 70000)`,
      [name, name],
    );
  }
  await system.sql("INSERT INTO rents (user_id, request_hash) VALUES (?, '')", [userId]);
  await system.sql(
    `INSERT INTO leases (rent_id, user_id, state, occupied_node_id, requirements, public_keys, ends_at)
     SELECT MAX(r.id), ?, 'active', (SELECT MIN(id) FROM nodes), '{}', '[]', UTC_TIMESTAMP(3) + INTERVAL 1 HOUR FROM rents r`,
    [userId],
  );
}

const scrape = async (url = ''): Promise<string> => (await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(LIMIT_MS) })).text();
const FROM_DATABASE = /^orion_(nodes|nodes_leasable|nodes_dirty|leases|queue_lag_seconds|late_backup_age_seconds|migration_brake)[ {].*/gm;

/** Lines: nodes and leases by state, two gauges of nodes, four queues, the late home backups, the circuit breaker. */
const ALL = 10;

describe('a scrape', () => {
  it('R40: of every role has the metrics of its process and of the fleet', async () => {
    for (const role of [...system.apis, ...system.schedulers, gateway.replica]) {
      const text = await scrape(role.opsUrl);
      expect([
        role.role,
        text.includes('\norion_database_up 1\n'),
        text.includes('\nprocess_cpu_seconds_total '),
        text.match(FROM_DATABASE)?.length,
      ]).toEqual([role.role, true, true, ALL]);
    }
  });

  it('R40: of every role has its version, its readiness, its pools and its lost log lines', async () => {
    for (const role of [...system.apis, ...system.schedulers, gateway.replica]) {
      const text = await scrape(role.opsUrl);
      const expected = [
        'orion_build_info{version="',
        'orion_ready 1',
        'orion_database_connections_in_use{pool="work"} ',
        'orion_log_lines_lost_total 0',
      ];
      expect([role.role, expected.filter((line) => !text.includes(`\n${line}`))]).toEqual([role.role, []]);
    }
  });

  it('R40: tells a full pool from a database that does not answer', async () => {
    const blocker = await mysql.createConnection(system.access);
    await blocker.query('LOCK TABLES events WRITE');
    const lists = Array.from({ length: 8 }, () => system.admin.get('/api/audit'));
    try {
      const full = /\norion_database_pool_waiting\{pool="reads"\} [1-9]/;
      const isFull = async (): Promise<boolean> => full.test(await scrape(system.apis[0]?.opsUrl));
      await eventually(isFull, { what: 'callers wait for a connection', timeoutMs: 10_000 });
      const text = await scrape(system.apis[0]?.opsUrl);
      expect(text).toContain('\norion_database_up 1\n');
      expect(text.match(FROM_DATABASE)).toHaveLength(ALL);
    } finally {
      await blocker.end();
    }
    await Promise.all(lists);
  }, 60_000);

  it('R40: of every role has the jobs of the schedulers', async () => {
    for (const role of [...system.apis, ...system.schedulers, gateway.replica]) {
      const what = `the jobs are in the metrics of ${role.role}`;
      const areThere = async (): Promise<boolean> => (await scrape(role.opsUrl)).includes('\norion_job_replicas{loop="wipe"} 1\n');
      await eventually(areThere, { what, timeoutMs: 20_000 });
    }
  });

  it('R40: shows the fleet while the reports of the jobs cannot be read', async () => {
    await system.sql('RENAME TABLE job_reports TO job_reports_away');
    try {
      const text = await scrape(system.apis[0]?.opsUrl);
      expect(text).toContain('\norion_database_up 1\n');
      expect(text.match(FROM_DATABASE)).toHaveLength(ALL);
      expect(text).not.toContain('\norion_job_replicas{');
    } finally {
      await system.sql('RENAME TABLE job_reports_away TO job_reports');
    }
  });

  it('R40: tells how long due work waits, in each queue', async () => {
    const [scheduler] = system.schedulers;
    scheduler?.pause();
    try {
      const ago = (seconds: number): string => `UTC_TIMESTAMP(3) - INTERVAL ${seconds} SECOND`;
      await system.sql(`UPDATE nodes SET probe_due_at = ${ago(100)}, wipe_due_at = ${ago(200)}`);
      await system.sql(`INSERT INTO checkpoints (lease_id, enabled, archives, due_at) SELECT id, 1, '[]', ${ago(300)} FROM leases`);
      const text = await scrape(system.apis[0]?.opsUrl);
      const lagOf = (queue: string): number => Number(new RegExp(`\\norion_queue_lag_seconds\\{queue="${queue}"\\} (.*)`).exec(text)?.[1]);
      expect(['probes', 'wipes', 'checkpoints', 'placements'].map((queue) => Math.floor(lagOf(queue) / 100))).toEqual([1, 2, 3, 0]);
    } finally {
      await system.sql('UPDATE nodes SET probe_due_at = NULL, wipe_due_at = NULL');
      await system.sql('DELETE FROM checkpoints');
      scheduler?.resume();
    }
  }, 30_000);

  it('R40: tells the same of the same fleet each time', async () => {
    for (const url of Array.from({ length: 3 }, () => system.apis[0]?.opsUrl)) {
      const text = await scrape(url);
      expect(text).toContain('\norion_nodes{status="pending"} 3\n');
      expect(text).toContain('\norion_leases{state="active"} 1\n');
    }
  });

  it('R40: comes in time while the database hangs, without gauges that nobody can know then, and whole again afterwards', async () => {
    system.mariadb?.pause();
    try {
      for (const role of [...system.apis, ...system.schedulers, gateway.replica]) {
        const texts = await Promise.all(Array.from({ length: 20 }, () => scrape(role.opsUrl)));
        expect(
          texts.filter((text) => text.includes('\norion_database_up 0\n') && text.includes('\nprocess_cpu_seconds_total ')),
        ).toHaveLength(20);
        expect(texts.flatMap((text) => text.match(FROM_DATABASE) ?? [])).toEqual([]);
      }
    } finally {
      system.mariadb?.resume();
    }
    await eventually(async () => (await scrape(system.apis[0]?.opsUrl)).match(FROM_DATABASE)?.length === ALL, {
      what: 'the gauges are back',
      timeoutMs: 30_000,
    });
  }, 90_000);
});

describe('the gateway', () => {
  it('R40: counts whom it lets in and whom it does not', async () => {
    expect(await scrape(gateway.replica.opsUrl)).toContain('\norion_gateway_logins_total{result="refused"} 0\n');
    const stranger = await generateSshKeyPair(system.lab.dir, 'stranger');
    expect(
      (
        await sshExec(
          { address: '127.0.0.1', port: gateway.port, user: 'lease-1', hostKey: gateway.hostKey, keyFile: stranger.keyFile },
          'true',
        )
      ).code,
    ).toBe(255);
    await eventually(async () => (await scrape(gateway.replica.opsUrl)).includes('\norion_gateway_logins_total{result="refused"} 1\n'), {
      what: 'the refusal is counted',
      timeoutMs: 10_000,
    });
    const text = await scrape(gateway.replica.opsUrl);
    expect(text).toContain('\norion_gateway_connections 0\n');
    expect(text).toMatch(/\norion_gateway_bytes_total\{direction="received"\} [1-9]\d{2}/);
    expect(text).toMatch(/\norion_gateway_bytes_total\{direction="sent"\} [1-9]\d{2}/);
  });
});
