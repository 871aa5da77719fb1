import { systemClock } from '../../../src/lib/clock';
import { eventually } from '../../lab';
import { type Arena, PATIENCE_MS, type FaultInjection } from './arena';

const CROWD = 60;
const CROWD_TENANTS = 6;

const crowd: FaultInjection = {
  name: 'crowd',
  promise: `${CROWD} rents of ${CROWD_TENANTS} tenants at once, over two APIs: no node twice`,
  inject: async ({ history, tenant, first, second }) => {
    const tenants = await Promise.all(Array.from({ length: CROWD_TENANTS }, tenant));
    await Promise.all(
      Array.from({ length: CROWD / CROWD_TENANTS }, (_, i) => i).flatMap((i) =>
        tenants.map((each, j) => history.rent(each, { key: `crowd-${i}`, at: ((i + j) % 2 ? first : second).url })),
      ),
    );
  },
};

/** A fault injection that was refused for another reason than the one it is after proves nothing. */
function mustBeServed(answer: { status: number; body: unknown } | undefined): void {
  if (!answer || answer.status >= 300) {
    throw new Error(`a request that is right was answered ${answer ? `${answer.status}: ${JSON.stringify(answer.body)}` : 'with nothing'}`);
  }
}

const REPEATS = 4;

const keys: FaultInjection = {
  name: 'keys',
  promise: `a rent and an extension, each sent ${2 * REPEATS} times with its key to two APIs at once: one of each`,
  inject: async ({ history, ada, bob, first, second, lease }) => {
    const urls = Array.from({ length: REPEATS }).flatMap(() => [first.url, second.url]);
    const { id } = await lease();
    await Promise.all([
      ...urls.map((at) => history.rent(bob, { key: 'the-same', at })),
      ...urls.map((at) => history.extend(ada, { leaseId: id, seconds: 60, key: 'the-same', at })),
    ]);
    mustBeServed(await history.rent(bob, { key: 'the-same' }));
    mustBeServed(await history.extend(ada, { leaseId: id, seconds: 60, key: 'the-same' }));
  },
};

const others: FaultInjection = {
  name: 'others',
  promise: 'a tenant looks at, extends and releases the lease of another: there is no such lease',
  inject: async ({ history, ada, bob, lease }) => {
    const { id } = await lease();
    await history.look(bob, id);
    await history.list(bob);
    await history.extend(bob, { leaseId: id, seconds: 60 });
    await history.release(bob, { leaseId: id });
    mustBeServed(await history.look(ada, id));
    mustBeServed(await history.list(ada));
  },
};

const ends: FaultInjection = {
  name: 'ends',
  promise:
    'leases extended before, around and after their end, beside one that has long to go: the end moves by what was granted, and nothing ends early',
  inject: async ({ history, ada, first, second, lease }) => {
    const [inTime, tooLate] = await Promise.all([lease({ seconds: 8 }), lease({ seconds: 8 }), lease()]);
    mustBeServed(await history.extend(ada, { leaseId: inTime.id, seconds: 5 }));
    const { ends_at: end } = await ada.lease(tooLate.id);
    await systemClock.sleep(Math.max(0, Date.parse(end) - Date.now() + 20));
    // Its time is up; whether a scheduler has seen so yet makes no difference.
    await Promise.all([first, second, first, second].map(({ url }) => history.extend(ada, { leaseId: tooLate.id, seconds: 30, at: url })));
    await ada.untilLease(tooLate.id, 'has ended', ({ state }) => state === 'ended', PATIENCE_MS).catch(() => undefined);
    await history.extend(ada, { leaseId: tooLate.id, seconds: 30 });
    await ada.untilLease(inTime.id, 'has ended', ({ state }) => state === 'ended', PATIENCE_MS);
  },
};

const moves: FaultInjection = {
  name: 'moves',
  promise: 'a lease whose node is drained is moved: its end stays, its account goes',
  inject: async ({ ada, lease, drain }) => {
    const { id, node } = await lease();
    await drain(node?.id ?? 0);
    await ada.untilLease(id, 'is active elsewhere', ({ state, generation }) => state === 'active' && generation === 2, PATIENCE_MS);
  },
};

/** The next answer to a COMMIT of the first API is lost on its way. */
async function loseAnswer({ first: { proxy } }: Arena, ask: () => Promise<unknown>): Promise<void> {
  if (!proxy) {
    throw new Error('the first API has no proxy to its database');
  }
  const before = proxy.lostAnswers;
  proxy.decide = () => {
    proxy.decide = () => 'pass';
    return 'cut_after';
  };
  await ask();
  await eventually(() => proxy.lostAnswers > before, { what: 'an answer is lost' });
}

const lostAnswers: FaultInjection = {
  name: 'lost-answers',
  promise: 'the answer to a COMMIT is lost under rents and extensions without a key: none is done twice',
  inject: async (arena) => {
    const { ada, first, history, lease } = arena;
    const { id } = await lease();
    for (let i = 0; i < 2; i += 1) {
      await loseAnswer(arena, () => history.extend(ada, { leaseId: id, seconds: 60, at: first.url }));
      await loseAnswer(arena, () => history.rent(ada, { at: first.url }));
    }
  },
};

export const OF_CLIENTS: FaultInjection[] = [crowd, keys, others, ends, moves, lostAnswers];
