import { fingerprintOf } from '../../../src/lib/host-key';
import type { NodeForAdmin } from '../../../src/contract';
import { expectStatus } from '../api';
import { check, checkEqual } from '../narrator';
import { listNodes, type Stage, until, untilFree } from '../stage';
import { type Fleet, readCounter, type Replica } from '../world';

const WITH_TOKEN = 5;

/** Machines that enrol themselves with a join token, and one without, which has to wait for a human. */
export async function enrol({ narrator, world, plane, operator }: Stage): Promise<Fleet> {
  narrator.chapter('Machines enrol themselves');
  const issued = await operator.post<{ token: string }>('/api/tokens', { name: 'demo', max_uses: WITH_TOKEN, ttl_hours: 1 });
  const { token: joinToken } = expectStatus(issued, 201);
  const fleet = await narrator.step(`${WITH_TOKEN} machines are switched on, with a join token`, () =>
    world.launchFleet(plane, WITH_TOKEN, joinToken),
  );
  const stranger = await narrator.step('one more is switched on, without a token', () => fleet.launchStranger());

  const pending = await narrator.step(
    'waiting for it to announce itself',
    () =>
      until(async () => (await listNodes(operator)).find(({ hostname }) => hostname === stranger.name), {
        what: 'the stranger has registered',
      }),
    ({ hostname }) => `${hostname} may not join by itself: it waits for an operator`,
  );
  checkEqual(pending.status, 'pending', 'the status of a machine without a token');
  await narrator.step(
    `waiting until the ${WITH_TOKEN} are verified over SSH, wiped, and free`,
    () => untilFree(operator, WITH_TOKEN),
    (free) => `${free.map(({ hostname }) => hostname).join(', ')} are verified over SSH, wiped, and free`,
  );
  await narrator.step(
    `the operator compares the host key of ${stranger.name} and approves it; it is verified, wiped, and free`,
    async () => {
      const before = (await listNodes(operator)).find(({ id }) => id === pending.id);
      check(before?.status === 'pending' && !before.free, 'a machine that nobody approved is not free');
      checkEqual(before.host_key_fingerprint, fingerprintOf(stranger.host_key), 'the host key that Orion knows');
      const approved = await operator.post<NodeForAdmin>(`/api/nodes/${pending.id}/approve`, {
        host_key_fingerprint: before.host_key_fingerprint,
      });
      expectStatus(approved, 200);
      const free = await untilFree(operator, WITH_TOKEN + 1);
      check(
        free.every(({ wiped_at: wipedAt }) => wipedAt !== null),
        'no machine is free before its first verified wipe',
      );
    },
  );
  const askedOf = async (scheduler: Replica): Promise<number> =>
    (await readCounter(scheduler, 'orion_probes_total')) + (await readCounter(scheduler, 'orion_kept_probes_total'));
  const shares = async (): Promise<number[] | false> => {
    const asked = await Promise.all(plane.schedulers.map(askedOf));
    return asked.every((count) => count > 0) && asked;
  };
  const checks = await until(shares, { what: 'both schedulers do a share of the work' });
  narrator.note(`The two schedulers have shared the work without asking each other: ${checks.join(' and ')} health checks.`);
  return fleet;
}
