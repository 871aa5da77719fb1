import type { Step } from '../../../src/flows/support/failpoints';
import { systemClock } from '../../../src/lib/clock';
import { eventually } from '../../lab';
import { untilNodesAreFree } from '../../support/free-nodes';
import type { Lease, LeaseDetail } from '../../../src/contract';
import { type Answer } from '../../support/api-client';
import type { Stage } from './stage';

/** One thing that Orion does, prepared to be struck at one of its steps. */
export interface Act {
  name: string;
  /** Whose process is held: the first API's, or whichever scheduler's comes there first. */
  role: 'api' | 'scheduler';
  steps: readonly Step[];
  /** What the bound has to allow beyond the claim: the agent's own pause before it tries again. */
  pauseSeconds?: number;
  /** Sets things up to just before it. */
  prepare(stage: Stage): Promise<Prepared>;
}

export interface Prepared {
  /** Waits for the moment from which on the step counts. */
  ready?(): Promise<void>;
  /** Sets it off. What a client is told, if anything, does not matter: it may be cut off. */
  begin(): Promise<unknown>;
  /**
   * What a client does after the blow, at the other API, and the end that has to come. Throws with what is wrong, or after a generous time.
   */
  finish(): Promise<void>;
}

const PLACEMENT = ['placement.claimed', 'placement.making', 'placement.made', 'placement.commit', 'placement.completed'] as const;
/** Longer than any bound: what comes late is told by its time. */
const PATIENCE_MS = 60_000;

let count = 0;
const newKey = (what: string): string => `${what}-${++count}`;

/** Repeats a request, with its key, until it is answered with success, as a client is told to. */
async function insist<T>(what: string, ask: () => Promise<Answer<T> | undefined>): Promise<T> {
  const told = async (): Promise<{ body: T } | undefined> => {
    const answer = await ask();
    if (answer && answer.status < 300) {
      return { body: answer.body };
    }
    throw new Error(`answered ${answer ? `${answer.status} ${JSON.stringify(answer.body)}` : 'nothing'}`);
  };
  return (await eventually(told, { what, timeoutMs: PATIENCE_MS, everyMs: 100 })).body;
}

async function untilActive({ tenant, real }: Stage, id: number): Promise<LeaseDetail> {
  const lease = await tenant.untilLease(id, 'is active', ({ state }) => state === 'active', PATIENCE_MS);
  const login = real ? await tenant.login(lease, 'true') : { code: 0, stderr: '' };
  if (login.code !== 0) {
    throw new Error(`lease ${id} is active, but its login fails: ${login.stderr}`);
  }
  return lease;
}

/** Over, wiped, and its node free for the next. */
async function untilGone({ tenant, system }: Stage, { id, node }: Lease): Promise<LeaseDetail> {
  const over = await tenant.untilLease(id, 'has ended', ({ state }) => state === 'ended', PATIENCE_MS);
  await untilNodesAreFree(system, { nodeId: node?.id, timeoutMs: PATIENCE_MS });
  return over;
}

function mustBe(what: string, actual: unknown, wanted: unknown): void {
  if (actual !== wanted) {
    throw new Error(`${what} is ${String(actual)} instead of ${String(wanted)}`);
  }
}

function renting(stage: Stage, nodes: number): Prepared {
  const order = { key: newKey('rent'), count: nodes };
  return {
    begin: () => stage.history.rent(stage.tenant, { ...order, at: stage.firstUrl }),
    finish: async () => {
      const { leases } = await insist('the repeated rent', () => stage.history.rent(stage.tenant, order));
      await Promise.all(leases.map(({ id }) => untilActive(stage, id)));
      const running = await stage.system.sql<{ n: number }>(
        "SELECT COUNT(*) AS n FROM leases WHERE state IN ('provisioning','active','migrating')",
      );
      mustBe('the number of running leases', Number(running[0]?.n), nodes);
    },
  };
}

const rent: Act = {
  name: 'rent',
  role: 'api',
  steps: ['rent.begin', 'rent.reserved', ...PLACEMENT, 'rent.answering'],
  prepare: (stage) => Promise.resolve(renting(stage, 1)),
};

/** COMMIT of more than one node has a moment of its own. */
const rentTwo: Act = {
  name: 'rent of two',
  role: 'api',
  steps: ['rent.commit'],
  prepare: (stage) => Promise.resolve(renting(stage, 2)),
};

const migrate: Act = {
  name: 'migrate',
  role: 'scheduler',
  steps: ['migrate.begin', 'migrate.commit', 'migrate.moved', ...PLACEMENT],
  prepare: async (stage) => {
    const lease = await stage.lease();
    return {
      begin: () => stage.admin.post(`/api/nodes/${lease.node?.id ?? 0}/drain`, { move: true }),
      finish: async () => {
        const isElsewhere = ({ state, generation }: LeaseDetail): boolean => state === 'active' && generation === 2;
        const moved = await stage.tenant.untilLease(lease.id, 'is active elsewhere', isElsewhere, PATIENCE_MS);
        mustBe('the end', moved.ends_at, lease.ends_at);
        await untilActive(stage, lease.id);
        const wiped = async (): Promise<boolean> =>
          (await stage.system.sql("SELECT id FROM placements WHERE lease_id = ? AND generation = 1 AND state = 'wiped'", [lease.id]))
            .length === 1;
        await eventually(wiped, { what: 'the account that was left is wiped', timeoutMs: PATIENCE_MS, everyMs: 25 });
      },
    };
  },
};

const EXTRA_SECONDS = 60;

/** @param url the API that is asked first */
const extending = async (stage: Stage, url: string): Promise<Prepared & { lease: Lease }> => {
  const lease = await stage.lease();
  const order = { leaseId: lease.id, seconds: EXTRA_SECONDS, key: newKey('extend') };
  return {
    lease,
    begin: () => stage.history.extend(stage.tenant, { ...order, at: url }),
    finish: async () => {
      const extended = await insist('the repeated extension', () => stage.history.extend(stage.tenant, order));
      mustBe('the end', Date.parse(extended.ends_at), Date.parse(lease.ends_at) + EXTRA_SECONDS * 1000);
      const applied = async (): Promise<boolean> =>
        (
          await stage.system.sql("SELECT id FROM placements WHERE current_lease_id = ? AND state = 'present' AND due_at IS NULL", [
            lease.id,
          ])
        ).length === 1;
      await eventually(applied, { what: 'the account knows of its new end', timeoutMs: PATIENCE_MS, everyMs: 25 });
      await untilActive(stage, lease.id);
    },
  };
};

const extend: Act = {
  name: 'extend',
  role: 'api',
  steps: ['extend.begin', 'extend.commit', 'extend.done'],
  prepare: (stage) => extending(stage, stage.firstUrl),
};

const refresh: Act = {
  name: 'refresh',
  role: 'scheduler',
  steps: PLACEMENT,
  prepare: (stage) => extending(stage, stage.secondUrl),
};

const release: Act = {
  name: 'release',
  role: 'api',
  steps: ['release.begin', 'release.commit', 'release.done'],
  prepare: async (stage) => {
    const lease = await stage.lease();
    return {
      begin: () => stage.history.release(stage.tenant, { leaseId: lease.id, at: stage.firstUrl }),
      finish: async () => {
        await insist('the repeated release', () => stage.history.release(stage.tenant, { leaseId: lease.id }));
        mustBe('the reason', (await untilGone(stage, lease)).end_reason, 'released');
      },
    };
  },
};

const wipe: Act = {
  name: 'wipe',
  role: 'scheduler',
  steps: ['wipe.claimed', 'wipe.wiped', 'wipe.verified', 'wipe.commit', 'wipe.done'],
  prepare: async (stage) => {
    const lease = await stage.lease();
    return {
      begin: () => stage.history.release(stage.tenant, { leaseId: lease.id }),
      finish: async () => {
        await untilGone(stage, lease);
      },
    };
  },
};

const SHORT_SECONDS = 3;

const expire: Act = {
  name: 'expire',
  role: 'scheduler',
  steps: ['expire.begin', 'expire.commit', 'expire.done'],
  prepare: async (stage) => {
    const lease = await stage.lease(SHORT_SECONDS);
    return {
      // The loop begins a pass many times before the end; the one that is struck should be the one that matters.
      ready: () => systemClock.sleep(Date.parse(lease.ends_at) - Date.now() - 100),
      begin: () => Promise.resolve(),
      finish: async () => {
        const over = await untilGone(stage, lease);
        mustBe('the reason', over.end_reason, 'expired');
        mustBe('the end', over.ends_at, lease.ends_at);
      },
    };
  },
};

const register: Act = {
  name: 'register',
  role: 'api',
  pauseSeconds: 8,
  steps: ['register.begin', 'register.commit', 'register.done'],
  prepare: async ({ fleet, system }) => {
    const worker = fleet.workers[count++ % fleet.workers.length];
    const registrations = (): Promise<unknown[]> =>
      system.sql("SELECT e.id FROM events e JOIN nodes n ON n.id = e.node_id WHERE e.type = 'node.registered' AND n.hostname = ?", [
        worker?.name ?? '',
      ]);
    const before = (await registrations()).length;
    return {
      begin: async () => {
        await worker?.kill();
        await worker?.start();
      },
      finish: async () => {
        const back = async (): Promise<boolean> =>
          (await registrations()).length > before &&
          (await system.sql('SELECT id FROM nodes WHERE leasable AND hostname = ?', [worker?.name ?? ''])).length === 1;
        await eventually(back, { what: 'the machine is registered, wiped and free', timeoutMs: PATIENCE_MS, everyMs: 50 });
        mustBe('the number of nodes', (await system.sql('SELECT id FROM nodes')).length, fleet.workers.length);
      },
    };
  },
};

export const ACTS: Act[] = [rent, rentTwo, migrate, extend, refresh, release, wipe, expire, register];
