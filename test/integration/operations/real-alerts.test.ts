import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { readAlerts } from '../../../scripts/lib/alerts-table';
import { systemClock } from '../../../src/lib/clock';
import { createMetrics } from '../../../src/modules/telemetry';
import { createStoreOfHomes, type StoreOfHomes } from '../../e2e/support/store';
import { workerOf } from '../../e2e/support/inside';
import { eventually, projectDir, run, runOrThrow, sshExec, type WorkerFleet } from '../../lab';
import { type Monitoring, startMonitoring } from '../../support/monitoring';
import { type Replica, startReplica } from '../../support/replica';
import { type RunningGateway, startSystem, type System } from '../../support/system';
import type { Tenant } from '../../support/tenant';

const LIMIT_MS = 90_000;
/** More of them than the gateway admits from one address, and more than one a second for ten minutes. */
const STRANGERS = 800;
const PYTHON = '$(readlink -f "$(command -v python3)")';

let store: StoreOfHomes;
let system: System;
let second: Replica;
let gateway: RunningGateway;
let fleet: WorkerFleet;
let monitoring: Monitoring;
let ada: Tenant;

beforeAll(async () => {
  store = await createStoreOfHomes(2);
  const env = { ...store.env, ORION_DRAIN_SECONDS: '15' };
  system = await startSystem({ apis: 1, schedulers: 1, gateway: true, ownDatabase: true, env });
  [second, gateway, fleet, ada] = await Promise.all([
    // The disk of its log is full.
    startReplica(system.lab, 'scheduler', { env: { ...system.env, LOG_LEVEL: 'debug' }, faults: { log: 'full disk' } }),
    system.startGateway(),
    system.launchWorkers(4),
    system.tenant(),
  ]);
  const [api = second, scheduler = second] = [...system.apis, ...system.schedulers];
  const at = ({ opsUrl }: Replica): string => new URL(opsUrl).host;
  const targets = { api: [at(api)], scheduler: [at(scheduler), at(second)], gateway: [at(gateway.replica)], autoscaler: [] };
  // A scrape takes up to 1.5 s while the database hangs.
  monitoring = await startMonitoring(system.lab, { targets, scrapeSeconds: 2, impatient: true });
  await system.untilFree(4, LIMIT_MS);
}, 2 * LIMIT_MS);
afterAll(async () => {
  await run('umount', ['-l', store.folder], {});
  await system.close();
  store.remove();
}, LIMIT_MS);

const hasFired = (alert: string): boolean =>
  monitoring.received.some(({ status, labels }) => status === 'firing' && labels['alertname'] === alert);

/** Waits until these alerts have come to the receiver. */
async function untilFired(...alerts: string[]): Promise<void> {
  const areFired = (): boolean => {
    const missing = alerts.filter((alert) => !hasFired(alert));
    if (missing.length > 0) {
      throw new Error(`not fired: ${missing.join(', ')}`);
    }
    return true;
  };
  await eventually(areFired, { what: alerts.join(', '), timeoutMs: LIMIT_MS, everyMs: 200 });
}

async function withoutTable(table: string, work: () => Promise<void>): Promise<void> {
  await system.sql(`RENAME TABLE ${table} TO ${table}_away`);
  try {
    await work();
  } finally {
    await system.sql(`RENAME TABLE ${table}_away TO ${table}`);
  }
}

/** Waits until three leases run, and rents again for each rent that failed on a frozen machine. */
async function threeLeases(): Promise<number[]> {
  const activeOnes = async (): Promise<number[] | undefined> => {
    const running = "SELECT id, state FROM leases WHERE state IN ('active', 'provisioning')";
    const leases = await system.sql<{ id: number; state: string }>(running);
    if (leases.length < 3) {
      await ada.rent();
    }
    const active = leases.filter(({ state }) => state === 'active');
    return active.length === 3 ? active.map(({ id }) => id) : undefined;
  };
  return eventually(activeOnes, { what: 'three leases run', timeoutMs: LIMIT_MS });
}

/** Resolves when the gateway has closed the connection, or after a second. */
const knock = (): Promise<void> =>
  new Promise((resolve) => {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.setTimeout(1_000, () => socket.destroy());
    socket.on('error', () => undefined).once('close', () => resolve());
  });

const archives = (): string[] => {
  const names = readdirSync(store.folder, { recursive: true, encoding: 'utf8' });
  return names.map((name) => join(store.folder, name)).filter((file) => statSync(file).isFile());
};

describe('R40: alerts that real faults raise in a real system', () => {
  it('the log of a replica is on a full disk', () => untilFired('OrionLogLinesLost'), LIMIT_MS);

  it('schedulers and machines are frozen: rents take long', async () => {
    [...system.schedulers, second].forEach((scheduler) => scheduler.pause());
    await Promise.all(fleet.workers.map((worker) => worker.freeze()));
    const rents = Array.from({ length: 3 }, () => ada.rent().catch(() => undefined));
    // Longer than the 10 s of the alert.
    await systemClock.sleep(11_000);
    await Promise.all(fleet.workers.map((worker) => worker.thaw()));
    await Promise.all(rents);
    await untilFired('OrionRentsSlow', 'OrionRentBudgetBurnsFast', 'OrionRentBudgetBurnsSlowly');
  }, LIMIT_MS);

  it('strangers knock at the gateway', async () => {
    await Promise.all(Array.from({ length: STRANGERS }, knock));
    await untilFired('OrionGatewayTurnsAway');
  }, LIMIT_MS);

  it('a table is missing: the API answers with 500', async () => {
    await withoutTable('user_keys', async () => {
      expect((await ada.client.get('/api/keys')).status).toBe(500);
    });
    await untilFired('OrionServerErrors');
  }, LIMIT_MS);

  it('a table stays locked: callers wait for a connection', async () => {
    const blocker = await mysql.createConnection(system.access);
    await blocker.query('LOCK TABLES events WRITE');
    const lists = Array.from({ length: 8 }, () => system.admin.get('/api/audit').catch(() => undefined));
    await untilFired('OrionDatabasePoolFull');
    await blocker.end();
    await Promise.all(lists);
  }, LIMIT_MS);

  it('schedulers are still frozen: work waits', async () => {
    // The test does not wait for 5 min.
    await system.sql('UPDATE checkpoints SET due_at = UTC_TIMESTAMP(3) - INTERVAL 400 SECOND WHERE due_at IS NOT NULL');
    await untilFired('OrionQueueLags', 'OrionJobNotRunning', 'OrionJobOverdue', 'OrionHomesLate', 'OrionRoleGone');
    [...system.schedulers, second].forEach((scheduler) => scheduler.resume());
  }, 2 * LIMIT_MS);

  it('the disk of the store is full and a table is missing: homes are not saved, and a job keeps failing', async () => {
    const [id = 0] = await threeLeases();
    // Long enough for a scrape.
    const login = { address: '127.0.0.1', port: gateway.port, user: `lease-${id}`, hostKey: gateway.hostKey, keyFile: ada.keyFile };
    expect(await sshExec(login, 'sleep 4')).toMatchObject({ code: 0 });
    await eventually(() => archives().length >= 3, { what: 'their homes are saved', timeoutMs: LIMIT_MS });
    await runOrThrow('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', store.folder], {});
    await run('sh', ['-c', `head -c 1m /dev/zero >"${store.folder}/ballast"`], {});
    await withoutTable('probe_shards', () => untilFired('OrionHomesNotSaved', 'OrionJobFails'));
    // The test does not wait for half an hour.
    await system.sql('UPDATE checkpoints SET last_at = last_at - INTERVAL 1 HOUR WHERE failures > 0');
    await untilFired('OrionHomeBackupOld');
    await runOrThrow('umount', ['-l', store.folder], {});
  }, LIMIT_MS);

  it('most machines die at once, and the stored homes are broken', async () => {
    const leases = await system.sql<{ hostname: string }>('SELECT hostname FROM nodes WHERE lease_id IS NOT NULL');
    const lost = leases.map(({ hostname }) => workerOf(fleet, { node: { hostname } }));
    await Promise.all(lost.map((worker) => worker.kill()));
    await untilFired('OrionMigrationStopped', 'OrionLeasesWait');
    archives().forEach((file) => truncateSync(file, 10));
    // The test does not wait for a minute.
    await system.sql("UPDATE leases SET migrating_since = migrating_since - INTERVAL 2 MINUTE WHERE state = 'migrating'");
    // As many live as died, so the circuit breaker closes, and none is left over.
    await fleet.add(2);
    await untilFired('OrionNoNodeLeasable', 'OrionRestoreFails', 'OrionMoveBudgetBurnsFast', 'OrionMoveBudgetBurnsSlowly');
  }, 2 * LIMIT_MS);

  it('a machine cannot be wiped', async () => {
    const [lease] = await system.sql<{ id: number; hostname: string }>(
      "SELECT l.id, n.hostname FROM leases l JOIN nodes n ON n.lease_id = l.id WHERE l.state = 'active' LIMIT 1",
    );
    const worker = workerOf(fleet, { node: { hostname: lease?.hostname ?? '' } });
    expect(await worker.exec(`chmod -x ${PYTHON}`)).toMatchObject({ code: 0 });
    await ada.release(lease?.id ?? 0);
    await untilFired('OrionWipeFails', 'OrionNodeQuarantined');
  }, LIMIT_MS);

  it('a replica is killed, another hangs in its stop, and the database hangs', async () => {
    await second.kill9();
    await untilFired('OrionReplicaDown');
    void system.apis[0]?.stop(30_000);
    await untilFired('OrionReplicaNotReady');
    system.mariadb?.pause();
    await untilFired('OrionDatabaseDown');
    system.mariadb?.resume();
  }, LIMIT_MS);

  it('and that was every alert, each with its labels', () => {
    const alerts = readAlerts();
    expect(alerts.filter(({ alert }) => !hasFired(alert)).map(({ alert }) => alert)).toEqual([]);
    for (const { alert, labels, annotations } of alerts) {
      expect(monitoring.received).toContainEqual(
        expect.objectContaining({ labels: expect.objectContaining({ alertname: alert, ...labels }), annotations }),
      );
    }
  });
});

/** Families that this system cannot move, and the test that moves each. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  orion_scale_leads: 'test/integration/scaling/scaling.test.ts',
  orion_scale_actual_replicas: 'test/integration/scaling/scaling.test.ts',
  orion_scale_desired_replicas: 'test/integration/scaling/scaling.test.ts',
  orion_scale_utilisation_ratio: 'test/integration/scaling/scaling.test.ts',
  orion_scale_changes_total: 'test/integration/scaling/scaling.test.ts',
  orion_tunnels_held: 'test/e2e/nat.test.ts',
};

/** Families whose value never changes: their labels, or the settings of the jobs. */
const CONSTANT = ['orion_build_info', 'orion_job_info', 'orion_job_period_seconds'];

describe('R40: the metrics', () => {
  it('all move: in the system that has lived through these faults, or in the test that is named for each', async () => {
    const families = (await createMetrics().registry.getMetricsAsJSON()).filter(({ name }) => name.startsWith('orion_'));
    const still: string[] = [];
    for (const { name, type } of families.filter((family) => !(family.name in ELSEWHERE))) {
      const series = String(type) === 'histogram' ? `${name}_count` : name;
      const moves = `max_over_time(${series}[15m]) > min_over_time(${series}[15m])`;
      const expr = CONSTANT.includes(name) ? `last_over_time(${series}[15m])` : moves;
      still.push(...((await monitoring.query(expr)).length > 0 ? [] : [name]));
    }
    expect(still).toEqual([]);
  }, LIMIT_MS);

  it('that another test moves are in that test', () => {
    const missing = Object.entries(ELSEWHERE).filter(([family, file]) => !readFileSync(join(projectDir, file), 'utf8').includes(family));
    expect(missing).toEqual([]);
  });
});
