import { systemClock } from '../../../src/lib/clock';
import { run, sshExec, sshOptions } from '../../../test/lab';
import type { Lease } from '../../../src/contract';
import { expectStatus } from '../api';
import { check, checkEqual } from '../narrator';
import { getLease, hostOf, overSsh, type Person, release, rentOne, targetOf } from '../person';
import { getNode, type Stage, until } from '../stage';
import { findTracks, PLANT, type Tenant, tenantOf } from '../tracks';
import type { Fleet } from '../world';

const HALF_AN_HOUR_MS = 30 * 60_000;
const SHORT_SECONDS = 15;

/** A short lease that runs while other things happen, with a session open on it. */
export interface ShortLease {
  lease: Lease;
  tenant: Tenant;
  /** When the session was cut, by the clock of this machine, which is the database's too. */
  sessionEnded: Promise<number>;
}

export async function startShortLease({ narrator }: Stage, fleet: Fleet, bob: Person): Promise<ShortLease> {
  return narrator.step(`meanwhile bob rents a machine for ${SHORT_SECONDS} s, and stays logged in`, async () => {
    const lease = await rentOne(bob, SHORT_SECONDS / 60);
    const target = targetOf(bob, lease);
    const session = run('ssh', [...sshOptions(target), `${target.user}@${target.address}`, 'sleep 600'], { timeoutMs: 60_000 });
    return { lease, tenant: await tenantOf(fleet, lease), sessionEnded: session.then(() => systemClock.now().getTime()) };
  });
}

export interface Endings {
  ada: Person;
  bob: Person;
  adas: Lease;
  short: ShortLease;
}

export async function endLeases(stage: Stage, fleet: Fleet, { ada, bob, adas, short }: Endings): Promise<void> {
  stage.narrator.chapter('Extend, release, expire');
  await extend(stage, fleet, { ada, lease: adas });
  await giveBack(stage, fleet, { ada, lease: adas });
  await watchExpiry(stage, fleet, { bob, short });
}

async function watchExpiry({ narrator, operator }: Stage, fleet: Fleet, { bob, short }: Pick<Endings, 'bob' | 'short'>): Promise<void> {
  const { lease, tenant, sessionEnded } = short;
  const { id, hostname } = hostOf(lease);
  const late = await narrator.step(
    "waiting for the end of bob's short lease (he is still logged in)",
    async () => ((await sessionEnded) - Date.parse(lease.ends_at)) / 1000,
    (seconds) => `bob's short lease is over: his session was cut ${seconds.toFixed(1)} s after the end`,
  );
  check(late >= 0, 'no session is cut before the end of its lease');
  narrator.measured('from the end of a lease to the cut of its session', late);
  await narrator.step(
    'waiting until his machine is wiped',
    () => untilFreeAgain({ operator, id, hostname }),
    () => `${hostname} is wiped and free again`,
  );
  checkEqual((await findTracks(fleet, hostname, tenant)).join('; '), '', 'what is left of bob');
  checkEqual((await sshExec(targetOf(bob, lease), 'true')).code, 255, 'the exit code of ssh after the end');
  checkEqual((await getLease(bob, lease.id)).state, 'ended', 'the state of the lease');
}

async function extend({ narrator }: Stage, fleet: Fleet, { ada, lease }: { ada: Person; lease: Lease }): Promise<void> {
  const endOnNode = async (): Promise<number> => {
    const record = await fleet.look(hostOf(lease).hostname, `cat /var/lib/orion/accounts/${lease.access?.username ?? ''}.json`);
    return (JSON.parse(record) as { ends_at: number }).ends_at * 1000;
  };
  const end = await narrator.step('ada extends her lease by half an hour: its end moves by exactly that', async () => {
    const extended = expectStatus(await ada.client.post<Lease>('/api/extend', { lease_id: lease.id, duration_minutes: 30 }), 200);
    checkEqual(
      Date.parse(extended.ends_at) - Date.parse(lease.ends_at),
      HALF_AN_HOUR_MS,
      'the milliseconds between the old end and the new',
    );
    return Date.parse(extended.ends_at);
  });
  await narrator.step(
    'waiting until the machine itself knows the new end',
    () => until(async () => isFence((await endOnNode()) - end), { what: 'the node knows the new end' }),
    () => 'the machine itself knows the new end, should it lose sight of the control plane',
  );
}

/** The machine counts from when Ansible reaches it, in whole seconds: its own end is a fence that lies a little behind the real one. */
function isFence(behindMs: number): boolean {
  if (behindMs <= -1_000 || behindMs > 15_000) {
    throw new Error(`its end lies ${behindMs} ms behind that of the lease`);
  }
  return true;
}

async function giveBack({ narrator, operator }: Stage, fleet: Fleet, { ada, lease }: { ada: Person; lease: Lease }): Promise<void> {
  const { id, hostname } = hostOf(lease);
  const tenant = await tenantOf(fleet, lease);
  await narrator.step('she leaves files, a process and a cron job behind here too, and releases the lease', async () => {
    await overSsh(ada, lease, PLANT);
    await release(ada, lease);
  });
  const since = performance.now();
  await narrator.step(
    'waiting until the machine is wiped',
    () => untilFreeAgain({ operator, id, hostname }),
    () => `${hostname} is wiped, verified clean, and free`,
  );
  narrator.measured('from release to free again', (performance.now() - since) / 1000);
  await narrator.step('looking inside as root: no account, no file, no process, no cron job', async () => {
    checkEqual((await findTracks(fleet, hostname, tenant)).join('; '), '', 'what is left of ada');
    checkEqual((await sshExec(targetOf(ada, lease), 'true')).code, 255, 'the exit code of ssh after the release');
  });
}

function untilFreeAgain({ operator, id, hostname }: { operator: Stage['operator']; id: number; hostname: string }): Promise<boolean> {
  return until(async () => (await getNode(operator, id)).free, { what: `${hostname} is free` });
}
