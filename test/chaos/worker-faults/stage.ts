import type { Violation } from '../../checker/evidence';
import { eventually, type Worker, type WorkerFleet } from '../../lab';
import { inside, workerOf } from '../../e2e/support/inside';
import type { Lease, LeaseDetail, NodeForAdmin } from '../../../src/contract';
import { type Answer, expectStatus } from '../../support/api-client';
import { createHistory, type History } from '../../support/history';
import type { Replica } from '../../support/replica';
import { fastConstants, startSystem, type System } from '../../support/system';
import type { Tenant } from '../../support/tenant';
import type { Random } from '../random';
import { appointJudge } from '../judge';
import { isClear, type Life, startLife } from './tenants';

const PROBE_SECONDS = 1;
const SUSPECT_SECONDS = 0.8;
const PROBE_TIMEOUT_SECONDS = 3;
const CLAIM_SECONDS = 5;
/** Ansible on a machine that has much else to do; a second or two on one that has not. */
const PLAY_SECONDS = 120;
/** Failed checks in a row that are a death (R20). */
const FAILURES = 3;

/** A frozen machine is dead after the interval and three checks that run into their timeout. */
const DEATH_SECONDS = PROBE_SECONDS + FAILURES * (PROBE_TIMEOUT_SECONDS + SUSPECT_SECONDS);
/** A play at its deadline, and once more after a claim that has expired, as when whoever ran it was killed. */
const PLAYED_SECONDS = PLAY_SECONDS + CLAIM_SECONDS + PLAY_SECONDS;

/** What a machine that has much else to do may add. */
const SLACK_SECONDS = 60;

/** Bounds of what is awaited: what the settings allow at the very most; the figures say how little of it is used. */
export const WITHIN = {
  death: (DEATH_SECONDS + 2 * CLAIM_SECONDS + SLACK_SECONDS) * 1000,
  move: (DEATH_SECONDS + 2 * CLAIM_SECONDS + PLAYED_SECONDS + SLACK_SECONDS) * 1000,
  /** Back, verified, then wiped by two plays. */
  wipe: (DEATH_SECONDS + CLAIM_SECONDS + 2 * PLAYED_SECONDS + SLACK_SECONDS) * 1000,
  answer: 2 * SLACK_SECONDS * 1000,
};

const WORKERS = 7;
const TENANTS = 3;

/** The whole of Orion with tenants who live on it, and one tenant more whose lease is the one that is struck. */
export interface Stage {
  system: System;
  fleet: WorkerFleet;
  history: History;
  life: Life;
  /** Whose leases the faults hit. */
  subject: Tenant;
  /** Of the two APIs, whichever process serves there now. */
  urls: string[];
  /** Seconds from the blow to the login elsewhere. */
  moves: number[];
  api(i: number): Replica;
  /** The schedulers that run. */
  schedulers(): Replica[];
  restartApi(i: number): Promise<void>;
  /** A lease of the subject's, active, on a machine that nobody else has. */
  takeLease(random: Random): Promise<Struck>;
  extend(lease: Lease, key: string): Promise<Lease>;
  giveBack(...leases: Lease[]): Promise<void>;
  /** Until every machine is well again, nobody waits for a node, and the breaker is closed. */
  untilCalm(): Promise<void>;
  /** Tables and histories; with `nodes` the tenants stand still and the machines are looked into as well. */
  judge(options: { nodes: boolean }): Promise<Violation[]>;
  close(): Promise<void>;
}

export interface Struck {
  lease: LeaseDetail;
  nodeId: number;
  username: string;
  worker: Worker;
}

const ENV = {
  ...fastConstants({
    suspectIntervalSeconds: SUSPECT_SECONDS,
    probeTimeoutSeconds: PROBE_TIMEOUT_SECONDS,
    claimSeconds: CLAIM_SECONDS,
    rentWaitSeconds: 20,
  }),
  ORION_PROBE_INTERVAL_SECONDS: String(PROBE_SECONDS),
  ORION_PLAY_TIMEOUT_SECONDS: String(PLAY_SECONDS),
  ORION_PLAY_CONCURRENCY: '2',
};

export async function setStage(random: Random): Promise<Stage> {
  const system = await startSystem({ apis: 2, schedulers: 2, ownDatabase: true, env: ENV });
  try {
    return await furnish(system, random);
  } catch (error) {
    await system.close();
    throw error;
  }
}

async function furnish(system: System, random: Random): Promise<Stage> {
  // As many uses as there are machines: one that comes back empty is let in by nobody but an operator.
  const token = await system.admin.post<{ token: string }>('/api/tokens', { name: 'counted', max_uses: WORKERS });
  const fleet = await system.launchWorkers(WORKERS, { joinToken: expectStatus(token, 201).token });
  await system.untilFree(WORKERS, WITHIN.wipe);
  const history = createHistory();
  const judge = await appointJudge(system, { history, fleet });
  const subject = await system.tenant();
  const tenants = await Promise.all(Array.from({ length: TENANTS }, () => system.tenant()));
  const urls = system.apis.map(({ url }) => url);
  const life = startLife({ history, tenants, urls, random: random.fork('tenants') });
  const live = (all: Replica[]): Replica[] => all.filter((each) => each.running());
  const api = (i: number): Replica => {
    const found = live(system.apis).find(({ url }) => url === urls[i]);
    if (!found) {
      throw new Error(`no API at ${urls[i] ?? 'all'}`);
    }
    return found;
  };
  let orders = 0;
  const stage: Stage = {
    system,
    fleet,
    history,
    life,
    subject,
    urls,
    api,
    moves: [],
    schedulers: () => live(system.schedulers),
    restartApi: async (i) => {
      await system.startApi({ port: Number(new URL(urls[i] ?? '').port) });
    },
    takeLease: async (dice) => {
      const key = `struck-${++orders}`;
      const lease = await insist(`rent ${key}`, async () => history.rent(subject, { key, at: dice.pick(urls) }));
      return struck(stage, lease.leases[0]?.id ?? 0);
    },
    extend: (lease, key) =>
      insist(`extension of lease ${lease.id}`, () =>
        history.extend(subject, { leaseId: lease.id, seconds: 60, key, at: random.pick(urls) }),
      ),
    giveBack: async (...leases) => {
      await Promise.all(
        leases.map(({ id }) => insist(`release of lease ${id}`, () => history.release(subject, { leaseId: id, at: random.pick(urls) }))),
      );
    },
    untilCalm: () => untilCalm(system),
    judge: async ({ nodes }) => {
      if (!nodes) {
        const found = await system.violations({ history: history.operations });
        if (!found.some(takesLong)) {
          return found;
        }
      }
      await life.pause();
      await untilStill(system);
      const found = nodes ? await judge.violations() : await system.violations({ history: history.operations });
      life.resume();
      return found;
    },
    close: async () => {
      await life.end().finally(() => system.close());
    },
  };
  return stage;
}

/** That an account goes after the end is promised, how fast is the machine's to say: it counts when it is there still when all is quiet. */
const takesLong = ({ invariant, what }: Violation): boolean => invariant === 'I7' && what.includes('after the end of lease');

/** Repeats a request, with its key, until it is granted, as a client does who needs it. Throws what no client should be told. */
export async function insist<T>(what: string, ask: () => Promise<Answer<T> | undefined>): Promise<T> {
  let odd: Answer<T> | undefined;
  const granted = await eventually(
    async () => {
      const answer = await ask();
      odd = isClear(answer) ? undefined : answer;
      if (odd || (answer && answer.status < 300)) {
        return { answer };
      }
      throw new Error(`answered ${answer ? `${answer.status}: ${JSON.stringify(answer.body)}` : 'nothing'}`);
    },
    { what: `${what} is granted`, timeoutMs: WITHIN.wipe, everyMs: 200 },
  );
  if (odd || !granted.answer) {
    throw new Error(`${what} was answered ${odd?.status ?? 0}: ${JSON.stringify(odd?.body)}`);
  }
  return granted.answer.body;
}

async function struck({ subject, fleet }: Stage, leaseId: number): Promise<Struck> {
  const lease = await subject.untilLease(leaseId, 'is active', ({ state, access }) => state === 'active' && access !== null, WITHIN.move);
  return { lease, nodeId: lease.node?.id ?? 0, username: lease.access?.username ?? '', worker: workerOf(fleet, lease) };
}

async function untilCalm(system: System): Promise<void> {
  const calm = async (): Promise<boolean> => {
    const sick = await system.sql(
      `SELECT id, hostname, status, status_reason, drained FROM nodes WHERE status <> 'retired' AND (status <> 'alive' OR drained)`,
    );
    const waiting = await system.sql("SELECT id, state, occupied_node_id FROM leases WHERE state = 'migrating'");
    const breaker = await system.sql('SELECT brake_since FROM control_plane WHERE brake_since IS NOT NULL');
    if (sick.length + waiting.length + breaker.length > 0) {
      throw new Error(JSON.stringify({ sick, waiting, breaker }));
    }
    return true;
  };
  await eventually(calm, { what: 'every machine is well and nobody waits for one', timeoutMs: WITHIN.wipe, everyMs: 100 });
}

/** Nothing is being made or wiped on any machine. */
async function untilStill(system: System): Promise<void> {
  const still = async (): Promise<boolean> => {
    const dirty = await system.sql(
      "SELECT id, status FROM nodes WHERE status <> 'retired' AND ((dirty AND lease_id IS NULL) OR status <> 'alive')",
    );
    const making = await system.sql(
      "SELECT id, state FROM placements WHERE state IN ('creating','wiping') AND node_id NOT IN (SELECT id FROM nodes WHERE status = 'retired')",
    );
    const ending = await system.sql(
      "SELECT id FROM leases WHERE state IN ('active','provisioning','migrating') AND ends_at < UTC_TIMESTAMP(3) + INTERVAL 10 SECOND",
    );
    if (dirty.length + making.length + ending.length > 0) {
      throw new Error(JSON.stringify({ dirty, making, ending }));
    }
    return true;
  };
  await eventually(still, { what: 'nothing is being made or wiped', timeoutMs: WITHIN.wipe, everyMs: 100 });
}

export async function untilNode(
  { system }: Stage,
  { nodeId, worker }: Pick<Struck, 'nodeId' | 'worker'>,
  what: string,
  is: (node: NodeForAdmin) => boolean,
  timeoutMs = WITHIN.wipe,
): Promise<NodeForAdmin> {
  const asked = async (): Promise<NodeForAdmin> => {
    const node = (await system.nodes()).find(({ id }) => id === nodeId);
    if (!node || !is(node)) {
      throw new Error(
        `it is ${node?.status ?? 'gone'} (${node?.status_reason ?? ''}), dirty ${node?.dirty ?? '-'}, lease ${node?.lease_id ?? '-'}`,
      );
    }
    return node;
  };
  return eventually(asked, { what: `${worker.name} (node ${nodeId}) ${what}`, timeoutMs, everyMs: 50 });
}

/** Of the newest event: what comes later is an effect of what is done now. */
export async function now({ system }: Stage): Promise<number> {
  const [row] = await system.sql<{ id: number }>('SELECT MAX(id) AS id FROM events');
  return row?.id ?? 0;
}

export interface SeenEvent {
  id: number;
  type: string;
  nodeId: number | null;
  leaseId: number | null;
  /** Of a move. */
  fromNode: number | null;
}

export const eventsSince = ({ system }: Stage, mark: number, ...types: string[]): Promise<SeenEvent[]> =>
  system.sql(
    `SELECT id, type, node_id AS nodeId, lease_id AS leaseId, CAST(JSON_VALUE(data, '$.from_node') AS INT) AS fromNode
       FROM events WHERE id > ? AND type IN (${types.map(() => '?').join(',')}) ORDER BY id`,
    [mark, ...types],
  );

/** A machine that was away has lost the account, and all of it, as a root shell on it sees. */
export async function untilWiped({ system }: Stage, { lease, username, worker }: Struck): Promise<void> {
  const wiped = async (): Promise<boolean> =>
    (await system.sql("SELECT id FROM placements WHERE lease_id = ? AND generation = ? AND state = 'wiped'", [lease.id, lease.generation]))
      .length === 1;
  await eventually(wiped, { what: `${worker.name} is wiped of lease ${lease.id}`, timeoutMs: WITHIN.wipe, everyMs: 50 });
  const left = await inside(worker, `grep -o '^${username}:' /etc/passwd; ls -d /home/${username} 2>/dev/null; true`);
  if (left !== '') {
    throw new Error(`${worker.name} counts as wiped and still has ${left}`);
  }
}
