import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { messageOf } from '../../../src/lib/errors';
import { systemClock } from '../../../src/lib/clock';
import type { Violation } from '../../checker/evidence';
import { type Caddy, startProjectCaddy, type Worker } from '../../lab';
import { createApiClient, expectStatus } from '../../support/api-client';
import { fastConstants, startSystem, type System, TENANT_PASSWORD } from '../../support/system';
import { sendBrokenBody } from '../http/broken-bodies';
import { broken, type Outcome, type Scenario, type ScenarioRun } from '../scenario';

const ATTACKERS = 8;
/** Of the agents: a tenant whose node hears nothing for so long is suspended. */
const CONTACT_SECONDS = 5;
/** The attack lasts long enough for three suspensions, and is over soon however slow the machine is. */
const AT_LEAST_MS = 3 * CONTACT_SECONDS * 1000;
const AT_MOST_MS = 60_000;
/** An honest call gets its answer in that time, on a machine that has eight attackers on it. */
const PATIENCE_MS = 5_000;
const HONEST_PAUSE_MS = 50;
const LOOK_MS = 300;
const MOST_VIOLATIONS = 20;

interface Stage {
  /** Of a user. */
  token: string;
  workers: Worker[];
  /** The replicas as a list, and one of them by its name in DNS. */
  proxies: Caddy[];
}

const ENV = {
  ...fastConstants({ probeTimeoutSeconds: 10, heartbeatIdleSeconds: 1 }),
  ORION_CONTACT_LIMIT_SECONDS: String(CONTACT_SECONDS),
  ORION_TRUST_PROXY: 'loopback',
};

async function setStage(system: System): Promise<Stage> {
  const { lab, apis } = system;
  const [byList, byName] = [await startProjectCaddy(lab, apis), await startProjectCaddy(lab, apis.slice(0, 1), byNameEnv(apis[0]))];
  const workers = [
    await launchAt(system, 'plain', byList.httpUrl),
    await launchAt(system, 'secure', byList.httpsUrl, byList.caFile),
    await launchAt(system, 'by-name', byName.httpUrl),
  ];
  await system.untilFree(workers.length, 60_000);
  const tenant = await system.tenant('honest');
  expectStatus(await tenant.rent({ count: workers.length }), 201);
  const login = await createApiClient(apis[0]?.url ?? '').post<{ token: string }>('/api/login', {
    username: 'honest',
    password: TENANT_PASSWORD,
  });
  return { token: expectStatus(login, 200).token, workers, proxies: [byList, byName] };
}

const CA_INSIDE = '/root/ca.crt';

/** A worker whose agent calls that address; with `caFile` it starts anew once it has the file. */
async function launchAt(system: System, name: string, endpoint: string, caFile?: string): Promise<Worker> {
  const {
    workers: [worker],
  } = await system.launchWorkers(1, {
    endpoint,
    agentEnv: { MY_HOSTNAME: name, ...(caFile === undefined ? {} : { ORION_CA_FILE: CA_INSIDE }) },
  });
  if (!worker) {
    throw new Error('no worker was launched');
  }
  if (caFile !== undefined) {
    await worker.exec(`cat > ${CA_INSIDE}`, { input: readFileSync(caFile, 'utf8') });
    await worker.stop();
    await worker.start();
  }
  return worker;
}

/** `localhost` has an address without a server of names. */
const byNameEnv = (api: System['apis'][number] | undefined): Record<string, string> => ({
  ORION_API_BY: 'dns',
  ORION_API_NAME: 'localhost',
  ORION_API_PORT: new URL(api?.url ?? '').port,
  ORION_AGENTS_PORT: new URL(api?.agentsUrl ?? '').port,
});

function get(proxy: Caddy, ca: Buffer, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(
      `${proxy.httpsUrl}/api/me`,
      { ca, agent: false, headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(PATIENCE_MS) },
      (res) => {
        res
          .resume()
          .once('end', () => resolve(res.statusCode ?? 0))
          .once('error', reject);
      },
    );
    asked.once('error', reject).end();
  });
}

/** Calls over and over until told to stop; each is answered as if there was no attack. */
async function callHonestly(
  proxy: Caddy,
  { token, over, note }: { token: string; over: () => boolean; note: (violation: Violation) => void },
): Promise<number> {
  const ca = readFileSync(proxy.caFile);
  let calls = 0;
  for (; !over(); calls += 1) {
    const answer = await get(proxy, ca, token).catch((error: unknown) => messageOf(error));
    if (answer !== 200) {
      note(broken('availability', proxy.httpsUrl, `an honest call was not answered as usual: ${answer}`));
    }
    await systemClock.sleep(HONEST_PAUSE_MS);
  }
  return calls;
}

/** The agent itself keeps on record which accounts it has suspended. */
async function watchTenants(workers: Worker[], over: () => boolean, note: (violation: Violation) => void): Promise<void> {
  const suspended = new Set<string>();
  while (!over()) {
    for (const worker of workers.filter(({ name }) => !suspended.has(name))) {
      const { stdout } = await worker.exec(`grep -lE '"held": *true' /var/lib/orion/accounts/*.json || true`);
      if (stdout.trim() !== '') {
        suspended.add(worker.name);
        note(broken('availability', worker.name, 'its tenant was suspended while the control plane was there'));
      }
    }
    await systemClock.sleep(LOOK_MS);
  }
}

async function attack({ token, workers, proxies }: Stage, run: ScenarioRun): Promise<Outcome> {
  const violations: Violation[] = [];
  const note = (violation: Violation): void => {
    if (violations.length < MOST_VIOLATIONS) {
      violations.push(violation);
    }
  };
  const kinds = new Map<string, number>();
  const begunMs = systemClock.monotonicMs();
  const elapsedMs = (): number => systemClock.monotonicMs() - begunMs;
  let sent = 0;
  const isEnough = (): boolean => (sent >= run.operations && elapsedMs() >= AT_LEAST_MS) || elapsedMs() >= AT_MOST_MS || run.timeIsUp();
  let ended = false as boolean;
  const attackers = Array.from({ length: ATTACKERS }, async (_, n) => {
    const random = run.random.fork(`attacker-${n}`);
    while (!isEnough()) {
      const kind = await sendBrokenBody(random.pick(proxies), random);
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      sent += 1;
    }
  });
  const honest = proxies.map((proxy) => callHonestly(proxy, { token, over: () => ended, note }));
  const watching = watchTenants(workers, () => ended, note);
  await Promise.all(attackers);
  ended = true;
  const [calls] = await Promise.all([Promise.all(honest), watching]);
  return {
    operations: sent,
    faults: sent,
    figures: { kinds: kinds.size, 'honest calls': calls.reduce((sum, n) => sum + n, 0) },
    violations,
  };
}

export const badBodies: Scenario = {
  name: 'bad-bodies',
  promise:
    'strangers send bodies that are malformed, oversized, broken off or slow, over http and https: honest calls are answered, and no tenant is suspended',
  unit: 'bad bodies',
  operations: { short: 400, long: 10_000 },
  run: async (run) => {
    const system = await startSystem({ apis: 2, schedulers: 1, env: ENV });
    try {
      const outcome = await attack(await setStage(system), run);
      return { ...outcome, violations: [...outcome.violations, ...(await system.violations())] };
    } finally {
      await system.close();
    }
  },
};
