import { messageOf } from '../../../src/lib/errors';
import type { Violation } from '../../checker/evidence';
import { expectStatus } from '../../support/api-client';
import { fastConstants, startSystem, type System } from '../../support/system';
import { createCast } from '../http/cast';
import { createHttpClient, type HttpAnswer, inParallel } from '../http/client';
import { type OpenApi, operationsOf } from '../http/document';
import { judge } from '../http/judge';
import { createRequests, type Planned } from '../http/requests';
import { createValues } from '../http/values';
import { broken, type Outcome, type Scenario, type ScenarioRun } from '../scenario';

const WIDTH = 24;
const RESTOCK_EVERY = 500;
const SAY_EVERY = 10_000;
/** Enough to see what is wrong. */
const MOST_VIOLATIONS = 200;

const NO_LIMITS = { ...fastConstants({ loginsPerName: 1_000_000_000 }), ORION_ADDRESS_LIMIT_FACTOR: '1000000' };

export const httpRequests: Scenario = {
  name: 'http-requests',
  promise:
    'requests made from the OpenAPI document, valid, nearly valid and hostile, by all kinds of callers to two replicas: no 5xx but "no node is free", problems and answers as documented',
  unit: 'HTTP requests',
  operations: { short: 4_000, long: 200_000 },
  run: async (run) => {
    const system = await startSystem({ apis: 2, schedulers: 0, env: NO_LIMITS });
    try {
      return await bombard(system, run);
    } finally {
      await system.close();
    }
  },
};

interface Tally {
  violations: Violation[];
  take(planned: Planned, answer: HttpAnswer | string): void;
  figures(): Record<string, number>;
  /** Nearly valid and hostile ones. */
  faults(): number;
}

const describe = ({ nature, caller, request }: Planned): string =>
  `${caller}, ${nature}: ${request.path.slice(0, 120)} ${JSON.stringify(request.headers)
    .replace(/Bearer [^"]*/, 'Bearer …')
    .slice(0, 250)} ${String(request.body ?? '').slice(0, 300)}`;

function createTally(): Tally {
  const violations: Violation[] = [];
  const counts = { answered: new Map<string, number>(), noNodeFree: 0, serverErrors: 0, unanswered: 0, broken: 0, wrong: 0 };
  const object = (planned: Planned, what: string): void => {
    counts.broken += 1;
    if (violations.length < MOST_VIOLATIONS) {
      violations.push(broken('HTTP', `${planned.operation.method} ${planned.operation.path}`, `${what} (${describe(planned)})`));
    }
  };
  return {
    violations,
    faults: () => counts.wrong,
    take: (planned, answer) => {
      counts.wrong += planned.nature === 'valid' ? 0 : 1;
      if (typeof answer === 'string') {
        counts.unanswered += 1;
        object(planned, `was not answered: ${answer}`);
        return;
      }
      const { noNodeFree, objections } = judge(planned, answer);
      const group = `${Math.floor(answer.status / 100)}xx`;
      counts.answered.set(group, (counts.answered.get(group) ?? 0) + 1);
      counts.noNodeFree += noNodeFree ? 1 : 0;
      counts.serverErrors += answer.status >= 500 && !noNodeFree ? 1 : 0;
      objections.forEach((what) => object(planned, `${what}: ${answer.text.slice(0, 300)}`));
    },
    figures: () => ({
      '2xx': counts.answered.get('2xx') ?? 0,
      '4xx': counts.answered.get('4xx') ?? 0,
      '503 no_node_free': counts.noNodeFree,
      'other 5xx': counts.serverErrors,
      unanswered: counts.unanswered,
      'promises broken': counts.broken,
    }),
  };
}

async function bombard(system: System, run: ScenarioRun): Promise<Outcome> {
  const { random } = run;
  const cast = await createCast(system, random.fork('cast'));
  const client = createHttpClient(WIDTH);
  const document = expectStatus(await system.admin.get<OpenApi>('/api/openapi.json'), 200);
  const next = createRequests({
    random,
    operations: operationsOf(document),
    cast,
    values: createValues(random.fork('values'), () => cast.stock),
  });
  const urls = system.apis.map(({ url }) => url);
  const tally = createTally();
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1000;
  try {
    const done = await inParallel(run.operations, { width: WIDTH, enough: () => run.timeIsUp() }, async (n) => {
      if (n > 0 && n % RESTOCK_EVERY === 0) {
        await cast.restock();
      }
      if (n > 0 && n % SAY_EVERY === 0) {
        run.say(`${n} requests, ${Math.round(n / seconds())} a second, ${tally.violations.length} violations`);
      }
      const planned = next();
      const answer = await client.send(urls[n % urls.length] ?? '', planned.request).catch(messageOf);
      tally.take(planned, answer);
    });
    await cast.restock();
    const rate = done / seconds();
    return {
      operations: done,
      faults: tally.faults(),
      figures: { 'requests a second': rate, ...tally.figures() },
      violations: [...tally.violations, ...(await system.violations())],
    };
  } finally {
    client.close();
    await cast.close();
  }
}
