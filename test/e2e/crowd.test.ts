import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, type WorkerFleet } from '../lab';
import { useSystem } from '../support/hooks';
import { enrolMachine, privateKeyOf } from '../support/machine';
import { fastConstants } from '../support/system';
import type { Tenant } from '../support/tenant';
import { tenantAccounts } from './support/inside';

const NODES = 50;
const RENTS = 200;
const TENANTS = 10;

describe('a crowd rents at once', () => {
  // The accounts follow the answers: a play takes about a second of a core, and the claims are what is watched here.
  const env = {
    ...fastConstants({ rentWaitSeconds: 0, managementUser: 'root' }),
    ORION_PLAY_CONCURRENCY: '1',
    ORION_PROBE_INTERVAL_SECONDS: '20',
  };
  const system = useSystem({ apis: 3, schedulers: 1, env });
  let fleet: WorkerFleet;
  let tenants: Tenant[];

  beforeAll(async () => {
    tenants = await Promise.all(Array.from({ length: TENANTS }, () => system.tenant()));
    fleet = await system.launchWorkers(NODES, { agent: false });
    const { workers } = fleet;
    const key = readFileSync(`${system.env['ORION_SSH_KEY_FILE'] ?? ''}.pub`, 'utf8').trim();
    await Promise.all(workers.map((worker) => worker.authorizeRoot(key)));
    for (const worker of workers) {
      const { name, address, port, hostKey } = worker;
      await enrolMachine(system, { hostname: name, address, ssh_port: port, host_key: hostKey }, await privateKeyOf(worker));
    }
    // Wiped one by one they would take minutes on two cores; the wipe has tests of its own.
    await eventually(async () => (await system.nodes()).every(({ status }) => status === 'alive'), {
      what: 'all are verified',
      timeoutMs: 40_000,
      everyMs: 100,
    });
    // It would also have told of the fences of the sandboxes: their accounts have uids above them.
    await system.sql('UPDATE nodes SET dirty = 0, wipe_due_at = NULL, wipe_token = NULL, next_uid = 1700000000');
    await system.untilFree(NODES);
  }, 120_000);

  const anyTenant = (i: number): Tenant => {
    const tenant = tenants[i % TENANTS];
    if (!tenant) {
      throw new Error('no tenant');
    }
    return tenant;
  };
  const anyApi = (i: number): string => system.apis[i % system.apis.length]?.url ?? '';

  it('R13/I3: 40 repetitions of one request at three replicas at once are one lease', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => anyTenant(0).rent({ key: 'crowd', at: anyApi(i) })));
    expect(countByStatus(answers)).toEqual({ taken: 40 });
    expect(new Set(answers.flatMap(({ body }) => body.leases.map(({ id }) => id))).size).toBe(1);
  }, 60_000);

  it('R13/I1: 200 rents at once over three replicas take every free node once, and the others get a 503', async () => {
    const answers = await Promise.all(Array.from({ length: RENTS }, (_, i) => anyTenant(i).rent({ at: anyApi(i) })));
    expect(countByStatus(answers)).toEqual({ taken: NODES - 1, 503: RENTS - NODES + 1 });
    const running = await system.sql<{ node: number }>(
      "SELECT occupied_node_id AS node FROM leases WHERE state IN ('provisioning','active','migrating')",
    );
    expect(new Set(running.map(({ node }) => node)).size).toBe(NODES);
    expect(running).toHaveLength(NODES);
    const [mirror] = await system.sql<{ n: number }>(
      'SELECT COUNT(*) AS n FROM nodes JOIN leases ON leases.id = nodes.lease_id AND leases.occupied_node_id = nodes.id',
    );
    expect(mirror?.n).toBe(NODES);
  }, 60_000);

  it('R11: accounts follow the answers, one on each node', async () => {
    const SEEN = 8;
    const active = async (): Promise<string[]> => {
      const rows = await system.sql<{ hostname: string; state: string }>(
        'SELECT n.hostname, l.state FROM leases l LEFT JOIN nodes n ON n.lease_id = l.id',
      );
      const odd = rows.filter(({ state }) => state !== 'active' && state !== 'provisioning');
      if (odd.length > 0) {
        throw new Error(JSON.stringify(odd));
      }
      return rows.filter(({ state }) => state === 'active').map(({ hostname }) => hostname);
    };
    await eventually(async () => (await active()).length >= SEEN, { what: `${SEEN} leases are active`, timeoutMs: 50_000, everyMs: 200 });
    const hostnames = await active();
    const seen = fleet.workers.filter(({ name }) => hostnames.includes(name));
    expect((await Promise.all(seen.map((worker) => tenantAccounts(worker)))).map(({ length }) => length)).toEqual(seen.map(() => 1));
  }, 60_000);
});

/** 201 and 202 are one: whether the account was quick. So is the 200 of a repetition. */
function countByStatus(answers: { status: number }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of answers) {
    const name = status < 300 ? 'taken' : String(status);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
