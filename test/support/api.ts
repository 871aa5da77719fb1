import { join } from 'node:path';
import type { Knex } from 'knex';
import request from 'supertest';
import { createMigrator } from '../../src/db/migrate';
import { createApps, createOpsApp } from '../../src/http/app';
import type { ApiSettings, Replica } from '../../src/http/deps';
import { createLimits, type LimitSettings } from '../../src/http/limits';
import { createNodeFeed } from '../../src/http/nodes/feed';
import { listen } from '../../src/http/server';
import { signManagement } from '../../src/flows/enrolment/management-statement';
import type { FlowSettings } from '../../src/flows/support/context';
import { systemClock } from '../../src/lib/clock';
import { createReadiness, type Readiness } from '../../src/lib/readiness';
import { createSessionLog, issueAccessToken, type SessionLog, type TokenSettings, type User } from '../../src/modules/accounts';
import { createRefusalLog, type RefusalLog } from '../../src/modules/audit';
import { createChallenges } from '../../src/modules/nodes';
import { type FindMark, signingKeyOf, type SigningKey } from '../../src/ssh';
import { projectDir } from '../lab';
import { checkAnswer } from './check-answer';
import { createTestContext } from './context';
import { createFakeProvisioner, type FakeProvisioner } from './fake-provisioner';
import { anOpenSshKeyPair } from './keys';
import type { Reply } from './wire';

export const JWT_KEY = 'a key of the tests that is long enough';

export interface ApiOptions {
  /** Pool for statements that only read. Default: the same pool. */
  reads?: Knex;
  provisioner?: FakeProvisioner;
  settings?: Partial<ApiSettings>;
  limits?: Partial<LimitSettings>;
  flows?: Partial<FlowSettings>;
  enrolment?: 'token' | 'open';
  tokens?: Partial<TokenSettings>;
  /** SSH keys that agents must install. */
  managementKeys?: string[];
  oldControlKeys?: SigningKey[];
  /** Default: no machine answers. */
  findMark?: FindMark;
  replica?: Partial<Replica>;
}

export type Method = 'get' | 'post' | 'patch' | 'delete' | 'put';

export interface CallOptions {
  /** A user, for whom a token is issued; or any text to send as the bearer token. */
  as?: User | string;
  body?: string | object;
  headers?: Record<string, string>;
}

/** The complete API on a port of 127.0.0.1, over a real database. */
export interface TestApi {
  url: string;
  /** URLs of the port for agents and of the operations port. */
  agentsUrl: string;
  opsUrl: string;
  provisioner: FakeProvisioner;
  readiness: Readiness;
  refusals: RefusalLog;
  sessions: SessionLog;
  /** Sends a request, and returns the answer, whatever its status. */
  call<T = unknown>(method: Method, path: string, options?: CallOptions): Promise<Reply<T>>;
  /** Sends a GET to the operations port. */
  ops(path: string): Promise<Reply<unknown>>;
  tokenOf(user: User): string;
  close(): Promise<void>;
}

/** The control key of the test's control plane. */
export const CONTROL_KEY = signingKeyOf(anOpenSshKeyPair().private);

const SETTINGS: Omit<ApiSettings, 'management'> = {
  signup: 'open',
  maxLeases: 5,
  maxLeaseHours: 24,
  minLeaseSeconds: 60,
  heartbeatIntervalSeconds: 10,
  heartbeatIdleSeconds: 60,
  heartbeatsPerSecond: 2000,
  contactLimitSeconds: 15,
  trustProxy: false,
  gateway: null,
};

const REPLICA: Omit<Replica, 'migrator'> = {
  name: 'test:1',
  version: '0',
  settings: [],
  recentLogs: { lines: () => [], faults: () => [] },
};

const LIMITS: LimitSettings = {
  loginsPerAddress: 1000,
  loginsPerName: 1000,
  lateLogins: { waiting: 0, everySeconds: 10 },
  signupsPerAddress: 1000,
  registrationsPerAddress: 1000,
  registrationsPerNode: 1000,
};

export async function startTestApi(db: Knex, options: ApiOptions = {}): Promise<TestApi> {
  const provisioner = options.provisioner ?? createFakeProvisioner();
  const readiness = createReadiness();
  const tokens = { key: JWT_KEY, extraKeys: [], ttlSeconds: 3600, ...options.tokens };
  const ctx = {
    ...createTestContext(db, provisioner, options.flows),
    enrolment: options.enrolment ?? ('token' as const),
    tokens,
    challenges: createChallenges([tokens.key, ...tokens.extraKeys]),
    controlKey: CONTROL_KEY,
    findMark: options.findMark ?? ((): Promise<'no_answer'> => Promise.resolve('no_answer')),
  };
  const management =
    options.settings?.management ??
    (await signManagement(
      { db },
      {
        username: 'orion-mgmt',
        publicKeys: options.managementKeys ?? ['ssh-ed25519 AAAA'],
        controlKey: CONTROL_KEY,
        oldControlKeys: options.oldControlKeys ?? [],
      },
    ));
  const feed = createNodeFeed({ db, clock: ctx.clock, logger: ctx.logger });
  const refusals = createRefusalLog({ db, clock: ctx.clock, logger: ctx.logger });
  const sessions = createSessionLog({ db, clock: ctx.clock, logger: ctx.logger });
  const apps = createApps({
    readiness,
    api: {
      ctx,
      agentsDb: db,
      reads: options.reads ?? db,
      feed,
      refusals,
      sessions,
      replica: { ...REPLICA, migrator: createMigrator(db, join(projectDir, 'migrations')), ...options.replica },
      limits: createLimits(db, { ...LIMITS, ...options.limits }, systemClock),
      settings: { ...SETTINGS, management, ...options.settings },
    },
  });
  const opsApp = createOpsApp({ db: options.reads ?? db, scrapes: db, readiness, metrics: ctx.metrics, logger: ctx.logger });
  const listening = await Promise.all(
    [apps.api, apps.agents, opsApp].map((app) => listen(app, { host: '127.0.0.1', port: 0, setting: 'none', clock: systemClock })),
  );
  feed.start();
  const [url = '', agentsUrl = '', opsUrl = ''] = listening.map(({ port }) => `http://127.0.0.1:${port}`);
  const tokenOf = (user: User): string => issueAccessToken(user, tokens, new Date());
  return {
    url,
    agentsUrl,
    opsUrl,
    provisioner,
    readiness,
    refusals,
    sessions,
    tokenOf,
    call: (method, path, { as, ...sent } = {}) =>
      send(`${url}${path}`, { ...sent, method, bearer: typeof as === 'object' ? tokenOf(as) : as }),
    ops: (path) => send(`${opsUrl}${path}`, { method: 'get', bearer: undefined }),
    close: async () => {
      await Promise.all(listening.map((each) => each.close({ limitMs: 200 })));
      await feed.stop();
      await Promise.all([refusals.flush(), sessions.flush()]);
    },
  };
}

interface Sending extends Omit<CallOptions, 'as'> {
  method: Method;
  bearer: string | undefined;
}

async function send<T>(url: string, { method, bearer, body, headers = {} }: Sending): Promise<Reply<T>> {
  const authorization = bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` };
  const sending = request(url)
    [method]('')
    .set({ ...authorization, ...headers });
  const answer = await (body === undefined ? sending : sending.send(body));
  checkAnswer({ method, path: new URL(url).pathname, status: answer.status, body: answer.body });
  return { status: answer.status, body: answer.body as Reply<T>['body'], text: answer.text, headers: answer.headers };
}
