import { messageOf } from '../../../src/lib/errors';
import { systemClock } from '../../../src/lib/clock';
import type { Violation } from '../../checker/evidence';
import { eventually } from '../../lab';
import type { Answer } from '../../support/api-client';
import { untilNodesAreFree } from '../../support/free-nodes';
import { createHistory, type History } from '../../support/history';
import type { Replica } from '../../support/replica';
import { fastConstants, startSystem, type System } from '../../support/system';
import type { Tenant } from '../../support/tenant';
import type { Random } from '../random';
import { broken, type Outcome, type Scenario, type ScenarioRun } from '../scenario';
import { appointJudge } from '../judge';

const NODES = 12;
const TENANTS = 8;
const PATIENCE_MS = 90_000;

/** Of 100 COMMITs, so many are lost on the way there and so many on the way back. */
const CUT_BEFORE = 0.06;
const CUT_AFTER = 0.2;

interface Play {
  system: System;
  history: History;
  over: () => boolean;
}

/** Repeats until the answer is certain, with the same key, at any replica: what every client is told to do. */
async function insist<T>(what: string, ask: () => Promise<Answer<T> | undefined>): Promise<Answer<T>> {
  const certain = async (): Promise<Answer<T> | undefined> => {
    const answer = await ask();
    const isFree = answer?.status === 503 && (answer.body as { code?: string }).code === 'no_node_free';
    return answer && (answer.status < 500 || isFree) ? answer : undefined;
  };
  return eventually(certain, { what, timeoutMs: PATIENCE_MS, everyMs: 20 });
}

/** Rent, extend, release, over and over, each insisted on. */
async function live({ system, history, over }: Play, tenant: Tenant, random: Random): Promise<void> {
  const at = (): string => random.pick(system.apis).url;
  for (let i = 0; !over(); i += 1) {
    const rented = await insist('the rent', () => history.rent(tenant, { key: `rent-${tenant.userId}-${i}`, at: at() }));
    const lease = rented.status < 300 ? rented.body.leases[0] : undefined;
    if (!lease) {
      await systemClock.sleep(50);
      continue;
    }
    if (random.chance(0.7)) {
      await insist('the extension', () => history.extend(tenant, { leaseId: lease.id, seconds: 30, key: `extend-${i}`, at: at() }));
    }
    await insist('the release', () => history.release(tenant, { leaseId: lease.id, at: at() }));
  }
}

/** From now on every replica's COMMITs are in danger, and now and then its connection as a whole. Call the result to end it. */
function endanger(replicas: Replica[], random: Random): () => void {
  const proxies = replicas.flatMap(({ proxy }) => proxy ?? []);
  const perils = proxies.map((proxy, i) => {
    const own = random.fork(`proxy-${i}`);
    proxy.decide = () => {
      if (own.chance(0.02)) {
        proxy.delayMs = own.pick([0, 0, 5, 40]);
      }
      const dice = own.next();
      return dice < CUT_BEFORE ? 'cut_before' : dice < CUT_BEFORE + CUT_AFTER ? 'cut_after' : 'pass';
    };
    return proxy;
  });
  return () => perils.forEach((proxy) => Object.assign(proxy, { decide: () => 'pass', delayMs: 0 }));
}

async function run(scenario: ScenarioRun): Promise<Outcome> {
  const env = { ...fastConstants({ claimSeconds: 2, workIntervalSeconds: 0.05, overdueIntervals: 120 }), ORION_PLAY_CONCURRENCY: '8' };
  const system = await startSystem({ apis: 3, schedulers: 2, faults: { proxy: true, instantPlays: true }, env });
  try {
    await system.launchWorkers(NODES);
    await system.untilFree(NODES, 60_000);
    const tenants = await Promise.all(Array.from({ length: TENANTS }, () => system.tenant()));
    const history = createHistory();
    const judge = await appointJudge(system, { history });
    const replicas = [...system.apis, ...system.schedulers];
    const sum = (of: 'lostAnswers' | 'cutBefore' | 'commits'): number =>
      replicas.reduce((total, { proxy }) => total + (proxy?.[of] ?? 0), 0);
    const violations: Violation[] = [];
    const over = (): boolean => sum('lostAnswers') >= scenario.operations || scenario.timeIsUp() || violations.length > 0;
    const calm = endanger(replicas, scenario.random);
    const lives = tenants.map((tenant, i) =>
      live({ system, history, over }, tenant, scenario.random.fork(`tenant-${i}`)).catch((error: unknown) =>
        violations.push(broken('a client that insists is answered', `user ${tenant.userId}`, messageOf(error))),
      ),
    );
    await Promise.all(lives);
    calm();
    await untilNodesAreFree(system, { timeoutMs: PATIENCE_MS });
    violations.push(...(await judge.violations()));
    return {
      operations: sum('lostAnswers'),
      faults: sum('lostAnswers') + sum('cutBefore'),
      figures: {
        'requests by clients': history.operations.length,
        COMMITs: sum('commits'),
        'COMMITs that never arrived': sum('cutBefore'),
      },
      violations,
    };
  } finally {
    await system.close();
  }
}

export const lostCommits: Scenario = {
  name: 'lost-commits',
  promise:
    'commits whose answer is lost, or that never arrive, between every role and MariaDB: clients that repeat with their key get one lease',
  unit: 'lost answers',
  operations: { short: 150, long: 1_200 },
  run,
};
