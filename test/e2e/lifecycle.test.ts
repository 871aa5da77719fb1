import { describe, expect, it } from '@jest/globals';
import { eventually, freePort, type WorkerFleet } from '../lab';
import type { Lease, Problem } from '../../src/contract';
import { expectStatus } from '../support/api-client';
import { useSystem, useTenant } from '../support/hooks';
import { agentLog, inside, tenantAccounts, tracesOf, untilNoAccount, workerOf } from './support/inside';

const WORKERS = 3;
const PLANTS = [
  'nohup sleep 7777 >/dev/null 2>&1 &',
  'nohup setsid sh -c \'trap "" TERM HUP; sleep 7778; sleep 7779\' >/dev/null 2>&1 &',
  'touch /tmp/plant-left /var/tmp/plant-left /dev/shm/plant-left',
  'mkdir -p /tmp/plant-dir && touch /tmp/plant-dir/x && chmod 0 /tmp/plant-dir',
  "echo '* * * * * touch /tmp/plant-cron' | crontab -",
  'ipcmk -M 4096 >/dev/null',
].join('\n');

describe('the life of a lease', () => {
  const system = useSystem({ apis: 1, schedulers: 1 });
  let fleet: WorkerFleet;
  const ada = useTenant(system);

  const accountEnd = async (lease: Lease): Promise<number> => {
    const record = await inside(workerOf(fleet, lease), `cat /var/lib/orion/accounts/${lease.access?.username ?? ''}.json`);
    return (JSON.parse(record) as { ends_at: number }).ends_at;
  };
  const uidOf = async (lease: Lease): Promise<number> =>
    Number(await inside(workerOf(fleet, lease), `id -u ${lease.access?.username ?? ''}`));

  it('R12: without any node a rent is refused with 503 and says what to do', async () => {
    const answer = await ada.rent();
    expect(answer.status).toBe(503);
    expect(answer.headers.get('Retry-After')).toMatch(/^\d+$/);
    expect(answer.body as unknown as Problem).toMatchObject({ code: 'no_node_free', detail: expect.stringContaining('enrol') });
  });

  it('R1/R2: machines that were there before the API enrol by themselves as soon as it answers, and are verified and clean before they are free', async () => {
    const port = await freePort();
    fleet = await system.launchWorkers(WORKERS, { endpoint: `http://127.0.0.1:${port}` });
    await eventually(() => fleet.workers.every((worker) => /"failures":[2-9]/.test(agentLog(worker))), {
      what: 'every agent has called in vain twice',
      timeoutMs: 20_000,
    });
    expect(await system.nodes()).toHaveLength(0);

    await system.startApi({ port });
    await system.untilFree(WORKERS);

    const nodes = await system.nodes();
    expect(nodes.map(({ hostname }) => hostname).sort()).toEqual(fleet.workers.map(({ name }) => name).sort());
    expect(nodes.every(({ status, dirty }) => status === 'alive' && !dirty)).toBe(true);
    const [wiped] = await system.sql<{ n: number }>("SELECT COUNT(DISTINCT node_id) AS n FROM events WHERE type = 'node.wiped'");
    expect(wiped?.n).toBe(WORKERS);
  }, 60_000);

  it('R11/R17: a rent answers with an account that OpenSSH logs in to under the pinned host key, without any right beyond its own', async () => {
    const lease = await ada.rentOne();
    const worker = workerOf(fleet, lease);
    expect(lease.state).toBe('active');
    expect(lease.access).toMatchObject({
      host: worker.address,
      port: worker.port,
      host_key: worker.hostKey,
      username: expect.stringMatching(/^orn-/),
    });
    expect(Date.parse(lease.ends_at)).not.toBeNaN();

    const said = await ada.login(lease, 'id -un; id -u; id -Gn; stat -c %a:%U "$HOME"; sudo -n true 2>&1; cat /etc/shadow 2>&1; echo end');
    const [name, uid, groups, home] = said.stdout.split('\n');
    expect(name).toBe(lease.access?.username);
    expect(Number(uid)).toBeGreaterThanOrEqual(10_000);
    expect(groups).toBe(`${name ?? ''} orion-keys`);
    expect(home).toBe(`700:${name ?? ''}`);
    expect(said.stdout).toMatch(/sudo: (not found|.*(not allowed|password|sudoers))|not found/);
    expect(said.stdout).not.toContain('root:*');
    expect(said.stdout).toContain('Permission denied');

    const forged = await ada.login(
      { ...lease, access: lease.access && { ...lease.access, host_key: fleet.workers.find((other) => other !== worker)?.hostKey ?? '' } },
      'true',
    );
    expect(forged.code).toBe(255);
    await ada.release(lease.id);
    await system.untilFree(WORKERS);
  }, 60_000);

  it('R17: an account of the platform called root never touches the root of a machine', async () => {
    const shadows = (): Promise<string[]> =>
      Promise.all(
        fleet.workers.map((worker) => inside(worker, "grep -v '^orn-' /etc/shadow; stat -c %U:%a /root; ls -A /root/.ssh 2>&1; id root")),
      );
    const before = await shadows();
    const root = await system.tenant('root');
    const lease = await root.rentOne();
    expect(lease.access?.username).toMatch(/^orn-/);
    expect((await root.login(lease, 'id -u')).stdout.trim()).not.toBe('0');
    expect((await root.login({ ...lease, access: lease.access && { ...lease.access, username: 'root' } }, 'id')).code).toBe(255);
    expect(await shadows()).toEqual(before);
    await root.release(lease.id);
    await system.untilFree(WORKERS);
    expect(await shadows()).toEqual(before);
  }, 60_000);

  it('R14: an extension moves the end, on the node too, and leaves the open session alone', async () => {
    const lease = await ada.rentOne({ seconds: 300 });
    const session = await ada.openSession(lease);
    const before = await accountEnd(lease);

    const extended = await ada.extend(lease.id, 600);

    expect(Date.parse(extended.ends_at) - Date.parse(lease.ends_at)).toBe(600_000);
    await eventually(async () => (await accountEnd(lease)) > before, { what: 'the record on the node has the new end' });
    expect((await accountEnd(lease)) - before).toBeGreaterThanOrEqual(595);
    expect((await accountEnd(lease)) - before).toBeLessThanOrEqual(605);
    expect(session.isOpen()).toBe(true);
    expect((await ada.login(lease, 'true')).code).toBe(0);

    const released = await ada.release(lease.id);
    expect(['ending', 'ended']).toContain(released.state);
    await eventually(() => !session.isOpen(), { what: 'the session of the released lease is cut', timeoutMs: 20_000 });
    await ada.untilLease(lease.id, 'has ended', ({ state }) => state === 'ended');
    expect((await ada.login(lease, 'true')).code).toBe(255);
    await system.untilFree(WORKERS);
  }, 60_000);

  it('R24/I5: after a release nothing of the tenant is left, and the node is not free before that was verified', async () => {
    const lease = await ada.rentOne();
    const worker = workerOf(fleet, lease);
    const who = { uid: await uidOf(lease), username: lease.access?.username ?? '', mark: 'plant-' };
    expectPlanted(await ada.login(lease, PLANTS), await tracesOf(worker, who));
    const nodeId = lease.node?.id ?? 0;

    await ada.release(lease.id);
    expect(await system.node(worker.name)).toMatchObject({ free: false, dirty: true });
    await eventually(async () => (await system.node(worker.name)).free, { what: 'the node is free again', timeoutMs: 30_000, everyMs: 20 });

    expect(await tracesOf(worker, who)).toBe('');
    const [row] = await system.sql<{ clean: string }>(
      "SELECT JSON_VALUE(report, '$.verify.clean') AS clean FROM placements WHERE node_id = ? AND lease_id = ?",
      [nodeId, lease.id],
    );
    expect(row?.clean).toBe('1');
  }, 60_000);

  it("R22/I7: a lease of a few seconds ends by itself, not before its time by the database's clock, its open session is cut", async () => {
    const lease = await ada.rentOne({ seconds: 6 });
    const worker = workerOf(fleet, lease);
    const session = await ada.openSession(lease);

    // The database's clock is read last: what is found missing may be missing only if the end has come by then.
    const seen: { at: string; there: boolean; open: boolean }[] = [];
    await eventually(
      async () => {
        const there = (await tenantAccounts(worker)).length > 0;
        const open = session.isOpen();
        const [now] = await system.sql<{ now: string }>("SELECT DATE_FORMAT(UTC_TIMESTAMP(3), '%Y-%m-%dT%H:%i:%s.%fZ') AS now");
        seen.push({ at: now?.now ?? '', there, open });
        return !there && !open;
      },
      { what: 'account and session are gone', timeoutMs: 30_000 },
    );

    const tooEarly = seen.filter(({ at, there, open }) => Date.parse(at) < Date.parse(lease.ends_at) && (!there || !open));
    expect(tooEarly).toEqual([]);
    expect(seen.length).toBeGreaterThan(3);
    const ended = await ada.untilLease(lease.id, 'has ended', ({ state }) => state === 'ended');
    expect(ended.end_reason).toBe('expired');
    await untilNoAccount(worker);
    expectStatus(await ada.client.get('/api/leases'), 200);
  }, 60_000);

  it('I3: a rent repeated with its key is the same lease, at any replica', async () => {
    const first = expectStatus(await ada.rent({ key: 'once' }), 201);
    const again = await ada.rent({ key: 'once', at: system.apis[1]?.url ?? '' });
    expect(again.status).toBe(200);
    expect(again.headers.get('Idempotent-Replayed')).toBe('true');
    expect(again.body.leases.map(({ id, access }) => ({ id, access }))).toEqual(first.leases.map(({ id, access }) => ({ id, access })));
    await ada.release(first.leases[0]?.id ?? 0);
  }, 60_000);

  it('I1–I10: after all this the checker finds nothing wrong', async () => {
    expect(await system.violations()).toEqual([]);
  });
});

function expectPlanted(login: { code: number | null; stderr: string }, traces: string): void {
  expect({ code: login.code, stderr: login.stderr }).toEqual({ code: 0, stderr: '' });
  for (const sign of ['/proc/', '/tmp/plant-left', '/var/tmp/plant-left', '/dev/shm/plant-left', '/var/spool/cron/crontabs/']) {
    expect(traces).toContain(sign);
  }
}
