import { randomUUID } from 'node:crypto';
import type { Rented } from '../../../src/contract';
import type { Answer } from '../api';
import { check, checkEqual } from '../narrator';
import { createPerson, hostOf, listRunning, onlyOne, overSsh, rent } from '../person';
import { type Stage, until } from '../stage';

/** An API replica is killed in the middle of a rent; asking again with the same Idempotency-Key gets the one lease. */
export async function killApi(stage: Stage): Promise<void> {
  const { narrator, plane } = stage;
  narrator.chapter('An API dies in the middle of a rent');
  const eve = await createPerson(stage, 'eve');
  const wish = { minutes: 60, idempotencyKey: randomUUID() };
  const since = performance.now();
  const first = rent(eve, wish).then(describe, () => 'the connection broke');
  await narrator.step('eve rents a machine, and the API that serves her is killed (kill -9) while it makes her account', async () => {
    const busy = await until(() => Promise.resolve(plane.apis.find((api) => api.isProvisioning())), {
      what: 'an API is making an account',
      everyMs: 2,
    });
    await busy.kill9();
    plane.apis.splice(plane.apis.indexOf(busy), 1);
  });
  const answer = await first;
  check(answer !== '201', 'the API was killed before it could answer');
  narrator.note(`Eve's program sees: ${answer}. It cannot know whether she has a lease.`);
  const lease = await narrator.step('it asks again with the same Idempotency-Key, and another API answers with the lease', async () => {
    const complete = async (): Promise<Answer<Rented> | undefined> => {
      const again = await rent(eve, wish);
      return again.status === 200 || again.status === 201 ? again : undefined;
    };
    return onlyOne((await until(complete, { what: 'the repeated request gets the lease' })).body.leases);
  });
  await narrator.step('she has one lease, not two, and logs in', async () => {
    checkEqual(onlyOne(await listRunning(eve)).id, lease.id, 'the number of her only lease');
    checkEqual(await overSsh(eve, lease, 'hostname'), hostOf(lease).hostname, 'the machine');
  });
  narrator.measured('a rent whose API died, to a shell', (performance.now() - since) / 1000);
}

const describe = ({ status }: Answer<Rented>): string => (status === 502 ? '502 Bad Gateway' : String(status));
