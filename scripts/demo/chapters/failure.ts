import type { Lease } from '../api';
import { check, checkEqual } from '../narrator';
import { getLease, hostOf, overSsh, type Person } from '../person';
import { getNode, type Stage, until } from '../stage';
import { findTracks, PLANT, type Tenant, tenantOf } from '../tracks';
import type { Fleet } from '../world';
import type { People } from './accounts';
import type { Rentals } from './renting';

/** A machine that died with something of a tenant on it. */
export interface Casualty {
  machine: { id: number; hostname: string };
  tenant: Tenant;
}

/** Ada leaves things on her machine; it dies; her lease moves. */
export async function killMachine(stage: Stage, fleet: Fleet, cast: { people: People; rentals: Rentals }): Promise<Casualty & { moved: Lease }> {
  const { people: { ada, bob }, rentals } = cast;
  const { narrator } = stage;
  const machine = hostOf(rentals.adas);
  narrator.chapter('A machine dies');
  const tenant = await tenantOf(fleet, rentals.adas);
  await narrator.step('ada works: she leaves files, a background process and a cron job behind', async () => {
    await overSsh(ada, rentals.adas, PLANT);
    const tracks = await findTracks(fleet, machine.hostname, tenant);
    const seen = (kind: string): boolean => tracks.some((track) => track.startsWith(`${kind}: `));
    check(['account', 'cron job', 'file', 'process'].every(seen), 'her traces can be seen on the machine');
  });
  const { moved, seconds } = await cutPower(stage, fleet, { person: ada, lease: rentals.adas });
  narrator.measured('from power cut to a shell on the next machine', seconds);
  narrator.note(`From the power cut to a working login: ${seconds.toFixed(1)} s. Same lease, same key, same end: ${moved.ends_at}.`);
  checkEqual(moved.id, rentals.adas.id, 'the number of the lease');
  checkEqual(moved.ends_at, rentals.adas.ends_at, 'the end of the lease');
  checkEqual(moved.generation, 2, 'the generation of the account');
  const other = await getLease(bob, rentals.bobs.id);
  check(other.generation === 1 && other.node?.id === hostOf(rentals.bobs).id, 'bob, whose machine is well, is not moved');
  return { machine, tenant, moved };
}

interface Victim {
  person: Person;
  lease: Lease;
}

async function cutPower({ narrator, operator }: Stage, fleet: Fleet, { person, lease }: Victim): Promise<{ moved: Lease; seconds: number }> {
  const { id, hostname } = hostOf(lease);
  const killedAt = performance.now();
  await narrator.step(`power cut: ${hostname} is killed outright`, () => fleet.kill(hostname));
  await narrator.step(
    'waiting until the schedulers notice; three checks have to fail',
    () => until(async () => (await getNode(operator, id)).status === 'dead', { what: `${hostname} is dead` }),
    () => `the schedulers notice: three checks failed, ${hostname} is dead`,
  );
  const moved = await narrator.step(
    'waiting until the lease has an account on another machine',
    () => until(() => movedFrom(id, () => getLease(person, lease.id)), { what: 'the lease has moved' }),
    (now) => `nobody did anything: the lease has moved to ${hostOf(now).hostname}`,
  );
  await narrator.step(`${person.name} logs in there with the same key`, async () => {
    checkEqual(await overSsh(person, moved, 'hostname'), hostOf(moved).hostname, 'the machine');
  });
  return { moved, seconds: (performance.now() - killedAt) / 1000 };
}

async function movedFrom(nodeId: number, ask: () => Promise<Lease>): Promise<Lease | undefined> {
  const lease = await ask();
  return lease.access !== null && lease.node?.id !== nodeId ? lease : undefined;
}
