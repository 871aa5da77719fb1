import { messageOf } from '../../../src/lib/errors';
import type { Violation } from '../../checker/evidence';
import { startSystem, type System } from '../../support/system';
import { createHttpClient, inParallel } from '../http/client';
import { createForger } from '../http/forge';
import { broken, type Outcome, type Scenario, type ScenarioRun } from '../scenario';

const WIDTH = 24;
const SAY_EVERY = 10_000;
const MOST_VIOLATIONS = 100;
/** What a token opens, and what would be worst: each takes one. */
const ENDPOINTS = [
  ['GET', '/api/me'],
  ['GET', '/api/leases'],
  ['GET', '/api/users'],
  ['POST', '/api/tokens'],
  ['POST', '/api/workers/heartbeat'],
] as const;

export const badTokens: Scenario = {
  name: 'bad-tokens',
  promise: 'tokens forged and edited in every way that is known, shown to two replicas: none is let in, each is refused with 401',
  unit: 'bad tokens',
  operations: { short: 2_000, long: 50_000 },
  run: async (run) => {
    const system = await startSystem({ apis: 2, schedulers: 0 });
    try {
      return await show(system, run);
    } finally {
      await system.close();
    }
  },
};

async function show(system: System, run: ScenarioRun): Promise<Outcome> {
  const { random, operations } = run;
  const tenant = await system.tenant();
  const [admin] = await system.sql<{ id: number }>("SELECT id FROM users WHERE role = 'admin'");
  const forge = createForger(random, {
    key: system.env['ORION_JWT_KEY'] ?? '',
    userId: tenant.userId,
    adminId: admin?.id ?? 1,
    now: Math.floor(performance.timeOrigin / 1000),
  });
  const client = createHttpClient(WIDTH);
  const violations: Violation[] = [];
  const crafts = new Set<string>();
  let accepted = 0;
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1000;
  const done = await inParallel(operations, { width: WIDTH, enough: () => run.timeIsUp() }, async (n) => {
    if (n > 0 && n % SAY_EVERY === 0) {
      run.say(`${n} tokens, ${Math.round(n / seconds())} a second, ${accepted} accepted`);
    }
    const { how, token } = forge();
    crafts.add(how);
    const [method, path] = random.pick(ENDPOINTS);
    const { status, text } = await client
      .send(system.apis[n % system.apis.length]?.url ?? '', { method, path, headers: { Authorization: `Bearer ${token}` } })
      .catch((error: unknown) => ({ status: 0, text: messageOf(error) }));
    accepted += status > 0 && status < 400 ? 1 : 0;
    if ((status !== 401 || !text.includes('"code":"unauthenticated"')) && violations.length < MOST_VIOLATIONS) {
      violations.push(broken('tokens', `${method} ${path}`, `one with ${how} got ${status}: ${text.slice(0, 200)} (${token})`));
    }
  });
  client.close();
  const figures = { accepted, crafts: crafts.size, 'tokens a second': done / seconds() };
  return { operations: done, faults: done, figures, violations: [...violations, ...(await system.violations())] };
}
