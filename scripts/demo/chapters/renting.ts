import { sshExec } from '../../../test/lab';
import type { Lease, Problem } from '../../../src/contract';
import { expectStatus } from '../api';
import { check, checkEqual } from '../narrator';
import { hostOf, listRunning, overSsh, type Person, release, rent, rentOne, targetOf } from '../person';
import { type Stage, untilFree } from '../stage';
import type { People } from './accounts';

export interface Rentals {
  adas: Lease;
  bobs: Lease;
}

const TWO_HOURS = 120;

export async function rentMachines(stage: Stage, { ada, bob }: People): Promise<Rentals> {
  const { narrator } = stage;
  narrator.chapter('Renting a machine');
  const since = performance.now();
  const adas = await narrator.step(
    'ada rents a machine for two hours; an account is being made for her',
    () => rentOne(ada, TWO_HOURS),
    (lease) => `ada rents a machine for two hours and gets an account on ${hostOf(lease).hostname}`,
  );
  await lookAround(stage, ada, adas);
  narrator.measured('from renting to a shell', (performance.now() - since) / 1000);
  await narrator.step('with any other host key in its place ssh refuses to connect', () => checkPinning(ada, adas));
  const bobs = await narrator.step(
    'bob rents one too',
    () => rentOne(bob, TWO_HOURS),
    (lease) => `bob rents one too and gets another one, ${hostOf(lease).hostname}`,
  );
  check(hostOf(bobs).id !== hostOf(adas).id, 'two clients never share a machine');
  checkEqual((await ada.client.get(`/api/leases/${bobs.id}`)).status, 404, "the answer to ada asking for bob's lease");
  await rentTheRest(stage, bob);
  return { adas, bobs };
}

async function lookAround({ narrator }: Stage, person: Person, lease: Lease): Promise<void> {
  const seen = await narrator.step(`${person.name} logs in with OpenSSH, which checks the machine's host key`, () =>
    overSsh(
      person,
      lease,
      'id; hostname; (sudo -n id || su -c id </dev/null || cat /etc/shadow) >/dev/null 2>&1 && echo root || echo "no root"',
    ),
  );
  const [id = '', hostname = '', root = ''] = seen.split('\n');
  narrator.note(`$ id          ${id}`);
  narrator.note(`$ hostname    ${hostname}`);
  check(id.includes(`(${lease.access?.username ?? ''})`) && !id.includes('uid=0'), 'the session is that of the account in the answer');
  checkEqual(hostname, hostOf(lease).hostname, 'the machine');
  checkEqual(root, 'no root', 'the way to root');
  narrator.note('$ sudo, su    refused: the account has no way to root');
}

async function checkPinning(person: Person, lease: Lease): Promise<void> {
  const another = person.key.publicKey.split(' ').slice(0, 2).join(' ');
  const { code, stderr } = await sshExec({ ...targetOf(person, lease), hostKey: another }, 'true');
  check(code === 255 && stderr.includes('Host key verification failed'), 'ssh refuses a machine that shows another host key');
}

/** All or nothing, and what one is told when nothing is free. */
async function rentTheRest({ narrator, operator }: Stage, bob: Person): Promise<void> {
  const free = await untilFree(operator, 1);
  const before = (await listRunning(bob)).length;
  await narrator.step(`bob asks for ${free.length + 1} while ${free.length} are free: all or nothing, so he gets none`, async () => {
    checkEqual((await rent(bob, { minutes: 10, count: free.length + 1 })).status, 503, 'the answer to asking for too many');
    checkEqual((await listRunning(bob)).length, before, "the number of bob's leases");
  });
  const more = await narrator.step(
    `he asks for ${free.length}; their accounts are being made`,
    async () => expectStatus(await rent(bob, { minutes: 10, count: free.length }), 201).leases,
    () => `he asks for ${free.length} and gets them, all on different machines`,
  );
  checkEqual(new Set(more.map((lease) => hostOf(lease).id)).size, free.length, 'the number of machines');
  const told = await narrator.step(
    'nothing is free now: the answer is 503, and says when to come again',
    async () => {
      const answer = await rent<Problem>(bob, { minutes: 10 });
      checkEqual(answer.status, 503, 'the answer when nothing is free');
      check(Number(answer.header('Retry-After')) > 0, 'Retry-After says when to come again');
      const firstEnd = more.map((lease) => lease.ends_at).sort()[0];
      checkEqual(answer.body.next_lease_ends_at, firstEnd, 'the next end of a lease');
      return answer;
    },
    (answer) => `nothing is free now: the answer is 503, Retry-After: ${answer.header('Retry-After') ?? ''}`,
  );
  narrator.note(`“${told.body.detail}”`);
  await narrator.step(`bob gives the ${free.length} back`, () => Promise.all(more.map((lease) => release(bob, lease))));
  await narrator.step(
    'waiting until they are wiped',
    () => untilFree(operator, free.length),
    () => 'they are wiped, verified clean, and free again',
  );
}
