import { systemClock } from '../../../src/lib/clock';
import type { Violation } from '../../checker/evidence';
import { eventually } from '../../lab';
import type { Lease, Problem } from '../../../src/contract';
import type { Answer } from '../../support/api-client';
import type { History } from '../../support/history';
import type { Tenant } from '../../support/tenant';
import type { Random } from '../random';
import { broken } from '../scenario';

/** People who rent, extend, release or let expire, whatever happens around them. */
export interface Life {
  /** They keep what they hold and ask for nothing; resolves when nobody's request is under way. */
  pause(): Promise<void>;
  resume(): void;
  end(): Promise<void>;
  /** Answers that nobody should get, whatever has failed. */
  oddities: Violation[];
}

export interface LifeOptions {
  history: History;
  tenants: Tenant[];
  /** The APIs; some of them may be dead. */
  urls: string[];
  random: Random;
}

const AGAIN_MS = 300;
const SHORT_LEASE_SECONDS = 8;
const LONG_LEASE_SECONDS = 600;

/** A lease is held this much longer than it took to get it, so that on a busy machine the tenants are no load that grows. */
const HELD_FOR_ASKED = 4;

/** Refusals that a client takes as they are and asks again later. */
const PATIENT = new Set(['no_node_free', 'unavailable', 'provisioning_failed']);

export const codeOf = (answer: Answer<unknown> | undefined): string => (answer?.body as Partial<Problem> | undefined)?.code ?? '';

/** True for what a client may be told while something fails: success, nothing at all, or a refusal that says to ask again. */
export const isClear = (answer: Answer<unknown> | undefined): boolean =>
  !answer || answer.status < 300 || (answer.status === 503 && PATIENT.has(codeOf(answer)));

export function startLife({ history, tenants, urls, random }: LifeOptions): Life {
  const oddities: Violation[] = [];
  let gate: { opened: Promise<void>; open: () => void } | undefined;
  let waiting = 0;
  let over = false;
  const goOn = async (): Promise<boolean> => {
    if (gate) {
      waiting += 1;
      await gate.opened;
      waiting -= 1;
    }
    return !over;
  };
  const note = (what: string, answer: Answer<unknown> | undefined, ...alsoFine: string[]): void => {
    if (!isClear(answer) && !alsoFine.includes(codeOf(answer))) {
      oddities.push(broken('clients are told clearly', what, `answered ${answer?.status ?? 0}: ${JSON.stringify(answer?.body)}`));
    }
  };

  const rent = async (tenant: Tenant, dice: Random, name: string): Promise<Lease | undefined> => {
    const seconds = dice.chance(0.25) ? SHORT_LEASE_SECONDS : LONG_LEASE_SECONDS;
    for (let attempt = 1; await goOn();) {
      const answer = await history.rent(tenant, { key: `${name}-${attempt}`, seconds, at: dice.pick(urls) });
      note(name, answer);
      if (answer && answer.status < 300) {
        return answer.body.leases[0];
      }
      // Nothing was leased, and that key stands for it.
      attempt += codeOf(answer) === 'provisioning_failed' ? 1 : 0;
      await systemClock.sleep(AGAIN_MS);
    }
    return undefined;
  };
  const hold = async (seconds: number): Promise<void> => {
    const until = systemClock.monotonicMs() + seconds * 1000;
    while (systemClock.monotonicMs() < until && (await goOn())) {
      await systemClock.sleep(AGAIN_MS);
    }
  };
  const release = async (tenant: Tenant, dice: Random, { id }: Lease): Promise<void> => {
    while (await goOn()) {
      const answer = await history.release(tenant, { leaseId: id, at: dice.pick(urls) });
      note(`release of lease ${id}`, answer);
      if (answer && answer.status < 300) {
        return;
      }
      await systemClock.sleep(AGAIN_MS);
    }
  };
  const live = async (tenant: Tenant, dice: Random): Promise<void> => {
    for (let turn = 1; await goOn(); turn += 1) {
      const asked = systemClock.monotonicMs();
      const lease = await rent(tenant, dice, `life-${turn}`);
      const took = (systemClock.monotonicMs() - asked) / 1000;
      await hold(Math.max(dice.between(3, 20), took * HELD_FOR_ASKED));
      if (lease && dice.chance(0.4) && (await goOn())) {
        note(
          `extension of lease ${lease.id}`,
          await history.extend(tenant, { leaseId: lease.id, seconds: 30, key: `life-${turn}`, at: dice.pick(urls) }),
          'lease_over',
        );
        await hold(dice.between(1, 5));
      }
      if (lease && dice.chance(0.85)) {
        await release(tenant, dice, lease);
      }
    }
  };
  const resume = (): void => {
    gate?.open();
    gate = undefined;
  };
  const lives = tenants.map((tenant, i) => live(tenant, random.fork(`life-${i}`)));
  return {
    oddities,
    resume,
    pause: async () => {
      gate ??= createGate();
      // At most one request each, which its API answers within a rent's wait.
      await eventually(() => waiting === tenants.length, { what: 'all tenants stand still', timeoutMs: 120_000 });
    },
    end: async () => {
      over = true;
      resume();
      await Promise.all(lives);
    },
  };
}

function createGate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}
