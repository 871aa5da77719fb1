import type { Lease } from '../../../src/contract';
import { check, checkEqual } from '../narrator';
import { openTerminal } from '../../../test/lab';
import { getLease, hostOf, overSsh, type Person, throughGateway } from '../person';
import { getNode, PATIENCE_MS, type Stage, until } from '../stage';
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
export async function killMachine(
  stage: Stage,
  fleet: Fleet,
  cast: { people: People; rentals: Rentals },
): Promise<Casualty & { moved: Lease }> {
  const {
    people: { ada, bob },
    rentals,
  } = cast;
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
  const terminal = await narrator.step(
    'she keeps a terminal open through the gateway, whose address never changes, and writes something down',
    async () => {
      const opened = openTerminal(throughGateway(ada, rentals.adas));
      opened.type('echo a day of work >notes; echo written-$((1 + 1))\n');
      await opened.untilShown(/written-2/, PATIENCE_MS);
      return opened;
    },
  );
  const wroteAt = Date.now();
  await narrator.step('her home is saved, encrypted, at an interval', () =>
    until(async () => Date.parse((await getLease(ada, rentals.adas.id)).checkpoint?.last_at ?? '') > wroteAt, {
      what: 'her notes are saved',
    }),
  );
  const { moved, seconds } = await cutPower(stage, fleet, { person: ada, lease: rentals.adas });
  await narrator.step(
    'her terminal never closed: it was told, waited, and has a prompt on the next machine, with what she wrote',
    async () => {
      await terminal.untilShown(/\[orion\] the connection to \S+ is lost/, PATIENCE_MS);
      await terminal.untilShown(new RegExp(`\\[orion\\] you are on ${hostOf(moved).hostname} now`), PATIENCE_MS);
      terminal.type('cat notes; exit\n');
      await terminal.untilShown(/a day of work\r\n/, PATIENCE_MS);
      checkEqual(await terminal.untilExit(PATIENCE_MS), 0, 'the end of her terminal');
    },
  );
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

async function cutPower(
  { narrator, operator }: Stage,
  fleet: Fleet,
  { person, lease }: Victim,
): Promise<{ moved: Lease; seconds: number }> {
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
