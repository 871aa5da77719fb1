import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import {
  createLab,
  type DatabaseAccess,
  eventually,
  freePort,
  generateSshKeyPair,
  type Lab,
  launchWorkers,
  type LaunchOptions,
  type MariaDb,
  type MariaDbOptions,
  programDir,
  runOrThrow,
  sharedMariaDb,
  startMariaDb,
  testConstants,
  type WorkerFleet,
} from '../lab';
import type { NodeForAdmin, Page } from '../../src/contract';
import { type ApiClient, createApiClient, expectStatus } from './api-client';
import type { Constants } from '../../src/config/constants';
import { ROLE_GRANTS } from '../../src/flows/accounts/grant-roles';
import type { Evidence, Violation } from '../checker/evidence';
import { checkInvariants } from '../checker/invariants';
import { readTables } from '../checker/read-tables';
import { type Replica, type ReplicaFaults, type ReplicaRole, startReplica } from './replica';
import { createTenant, type Tenant } from './tenant';

type Env = Record<string, string>;

export interface SystemOptions {
  apis: number;
  schedulers: number;
  /** Starts a MariaDB for this system alone, for tests that stop it or change its options. */
  ownDatabase?: boolean | MariaDbOptions;
  /** Added to FAST. */
  env?: Env;
  /** Means of fault injection of every replica. */
  faults?: ReplicaFaults;
  /** Each role logs in to the database as its own user with the least rights. Needs `ownDatabase`. */
  roleUsers?: boolean;
  /** Accounts admit gateways, and leases contain the address of a gateway: that of the first one that `startGateway` starts. */
  gateway?: boolean;
}

/** The complete control plane as processes of the built program, on a database of its own. `close` ends everything. */
export interface System {
  lab: Lab;
  apis: Replica[];
  schedulers: Replica[];
  /** Access of the tests' own connections to the database, without any proxy. */
  access: DatabaseAccess;
  /** Access as a user who may only SELECT. */
  reader: DatabaseAccess;
  /** Undefined when the server is shared with other tests. */
  mariadb: MariaDb | undefined;
  admin: ApiClient;
  /** Admits up to 1000 machines, for one hour. */
  joinToken: string;
  /** Password of all database users of the roles; undefined without `roleUsers`. */
  rolePassword: string | undefined;
  env: Env;
  /** Starts and adds one more replica; `port` if it needs a certain port. */
  startApi(options?: { port?: number; env?: Env; programDir?: string }): Promise<Replica>;
  startScheduler(env?: Env, programDir?: string): Promise<Replica>;
  /** Starts one more gateway, with the same keys as the others. The first one listens at the address that leases contain. */
  startGateway(env?: Env): Promise<RunningGateway>;
  /** Starts workers whose agents enrol with the join token; they call the first API by default. */
  launchWorkers(n: number, options?: LaunchOptions): Promise<WorkerFleet>;
  /** Signs up a new user with a new key pair. The user calls the first API. */
  tenant(name?: string): Promise<Tenant>;
  /** Lists the nodes as an admin sees them. */
  nodes(): Promise<NodeForAdmin[]>;
  /** Finds a node; throws when none has that name. */
  node(hostname: string): Promise<NodeForAdmin>;
  /** Waits until this many nodes are free. */
  untilFree(n: number, timeoutMs?: number): Promise<void>;
  /** Queries the database directly, without the API. */
  sql<T>(query: string, bindings?: (string | number)[]): Promise<T[]>;
  /** Returns the violations that the checker of the invariants finds in the current tables and in `also`. */
  violations(also?: Partial<Pick<Evidence, 'history' | 'nodes' | 'hostKeys' | 'stored'>>): Promise<Violation[]>;
  close(): Promise<void>;
}

export interface RunningGateway {
  replica: Replica;
  port: number;
  /** `type base64` */
  hostKey: string;
}

/**
 * Constants that make a test short. Deaths still take longer than one round of probes, so that the circuit breaker can see them together
 * (I8).
 */
const FAST_CONSTANTS: Partial<Constants> = {
  suspectIntervalSeconds: 0.8,
  probeTimeoutSeconds: 2.5,
  heartbeatIntervalSeconds: 1,
  overdueIntervals: 5,
  heartbeatIdleSeconds: 4,
  claimSeconds: 5,
  migrateIntervalSeconds: 1,
  expireIntervalSeconds: 0.5,
  workIntervalSeconds: 0.2,
  watchIntervalSeconds: 0.5,
  retryFirstSeconds: 0.5,
  retryMaxSeconds: 2,
  minLeaseSeconds: 1,
};

/** For `env`: other constants over those of every system. */
export const fastConstants = (constants: Partial<Constants> = {}): Env => testConstants({ ...FAST_CONSTANTS, ...constants });

const FAST: Env = {
  ...fastConstants(),
  ORION_HTTP_HOST: '127.0.0.1',
  ORION_OPS_HOST: '127.0.0.1',
  ORION_PROBE_INTERVAL_SECONDS: '1',
  ORION_PLAY_TIMEOUT_SECONDS: '30',
  ORION_MAX_LEASES: '500',
  ORION_DRAIN_SECONDS: '0.5',
  ORION_ADDRESS_LIMIT_FACTOR: '200',
};

/** Password of every tenant that `tenant()` creates. */
export const TENANT_PASSWORD = 'a password of a tenant';

const ADMIN = { username: 'operator', password: 'a password of the tests' };

export async function startSystem(options: SystemOptions): Promise<System> {
  const lab = createLab();
  try {
    return await start(lab, options);
  } catch (error) {
    await lab.close();
    throw error;
  }
}

async function start(lab: Lab, options: SystemOptions): Promise<System> {
  const mariadb = options.ownDatabase ? await startMariaDb(lab, options.ownDatabase === true ? {} : options.ownDatabase) : undefined;
  const server = mariadb ?? (await sharedMariaDb());
  const access = await server.createDatabase();
  const reader = await server.createReader(access.database);
  const env: Env = {
    ...FAST,
    ORION_DB_HOST: access.host,
    ORION_DB_PORT: String(access.port),
    ORION_DB_USER: access.user,
    ORION_DB_PASSWORD: access.password,
    ORION_DB_NAME: access.database,
    ORION_JWT_KEY: randomBytes(32).toString('hex'),
    ORION_SSH_KEY_FILE: (await generateSshKeyPair(lab.dir, 'control plane')).keyFile,
    ORION_CONTROL_KEY_FILE: (await generateSshKeyPair(lab.dir, 'control key')).keyFile,
    ORION_AUDIT_KEY_FILE: (await generateSshKeyPair(lab.dir, 'audit key')).keyFile,
    ...options.env,
  };
  const gateway = options.gateway ? await prepareGateways(lab) : undefined;
  Object.assign(env, gateway?.env);
  const userOf = await migrate(env, options.roleUsers ? mariadb : undefined);
  await orion(['admin', 'create', ADMIN.username, '--password-stdin'], { ...env, ...userOf('api') }, `${ADMIN.password}\n`);

  const apis: Replica[] = [];
  const schedulers: Replica[] = [];
  const launch = async (
    role: ReplicaRole,
    { port, extra, programDir: folder }: { port?: number | undefined; extra?: Env | undefined; programDir?: string | undefined },
  ): Promise<Replica> => {
    const started = await startReplica(lab, role, {
      port,
      env: { ...env, ...userOf(role), ...extra },
      faults: options.faults ?? {},
      programDir: folder,
    });
    if (role !== 'gateway') {
      (role === 'api' ? apis : schedulers).push(started);
    }
    return started;
  };
  await Promise.all([
    ...Array.from({ length: options.apis }, () => launch('api', {})),
    ...Array.from({ length: options.schedulers }, () => launch('scheduler', {})),
  ]);
  const firstUrl = (): string => apis[0]?.url ?? '';
  const admin = createApiClient(firstUrl(), await logIn(firstUrl(), ADMIN));
  const token = await admin.post<{ token: string }>('/api/tokens', { name: 'tests', max_uses: 1000, ttl_hours: 1 });
  const joinToken = expectStatus(token, 201).token;
  const nodes = async (): Promise<NodeForAdmin[]> => expectStatus(await admin.get<Page<NodeForAdmin>>('/api/nodes?limit=100'), 200).items;

  return {
    lab,
    apis,
    schedulers,
    access,
    reader,
    mariadb,
    admin,
    joinToken,
    env,
    nodes,
    rolePassword: userOf('api')['ORION_DB_PASSWORD'],
    startApi: ({ port, env: extra, programDir: folder } = {}) => launch('api', { port, extra, programDir: folder }),
    startScheduler: (extra, folder) => launch('scheduler', { extra, programDir: folder }),
    startGateway: async (extra) => {
      if (!gateway) {
        throw new Error('the system was started without `gateway`');
      }
      const port = gateway.ports.shift() ?? (await freePort());
      return {
        replica: await launch('gateway', { extra: { ...gateway.secrets, ORION_GATEWAY_PORT: String(port), ...extra } }),
        port,
        hostKey: gateway.hostKey,
      };
    },
    launchWorkers: (n, launchOptions = {}) => launchWorkers(lab, n, { endpoint: firstUrl(), joinToken, ...launchOptions }),
    tenant: async (name = `u${randomBytes(5).toString('hex')}`) => {
      const credentials = { username: name, password: TENANT_PASSWORD };
      const { user } = expectStatus(await createApiClient(firstUrl()).post<{ user: { id: number } }>('/api/signup', credentials), 201);
      return createTenant(
        user.id,
        createApiClient(firstUrl(), await logIn(firstUrl(), credentials)),
        await generateSshKeyPair(lab.dir, name),
      );
    },
    node: async (hostname) => {
      const found = (await nodes()).find((node) => node.hostname === hostname);
      if (!found) {
        throw new Error(`no node ${hostname}`);
      }
      return found;
    },
    untilFree: async (n, timeoutMs = 40_000) => {
      const free = async (): Promise<boolean> => {
        const all = await nodes();
        if (all.filter((node) => node.free).length < n) {
          throw new Error(
            JSON.stringify(
              all.map(({ hostname, status, dirty, lease_id, status_reason }) => ({ hostname, status, dirty, lease_id, status_reason })),
            ),
          );
        }
        return true;
      };
      await eventually(free, { what: `${n} nodes are free`, timeoutMs, everyMs: 100 });
    },
    sql: (query, bindings = []) => queryOnce(access, query, bindings),
    violations: (also) => findViolations(reader, also),
    close: () => lab.close(),
  };
}

interface Gateways {
  /** Settings for every process. */
  env: Env;
  /** Settings for the gateways alone. */
  secrets: Env;
  hostKey: string;
  /** Ports that clients know and that no gateway uses yet. */
  ports: number[];
}

async function prepareGateways(lab: Lab): Promise<Gateways> {
  const [key, host, port] = await Promise.all([
    generateSshKeyPair(lab.dir, 'gateway'),
    generateSshKeyPair(lab.dir, 'gateway host'),
    freePort(),
  ]);
  return {
    env: {
      ORION_GATEWAY_PUBLIC_KEY: key.publicKey,
      ORION_GATEWAY_HOST_PUBLIC_KEY: host.publicKey,
      ORION_GATEWAY_ADDRESS: `127.0.0.1:${port}`,
    },
    secrets: { ORION_GATEWAY_HOST: '127.0.0.1', ORION_GATEWAY_KEY_FILE: key.keyFile, ORION_GATEWAY_HOST_KEY_FILE: host.keyFile },
    hostKey: host.publicKey.split(' ').slice(0, 2).join(' '),
    ports: [port],
  };
}

async function orion(args: string[], env: Env, input = ''): Promise<void> {
  await runOrThrow(process.execPath, [join(programDir, 'dist', 'main.js'), ...args], { input, env: { PATH: process.env['PATH'], ...env } });
}

async function logIn(url: string, credentials: { username: string; password: string }): Promise<string> {
  return expectStatus(await createApiClient(url).post<{ token: string }>('/api/login', credentials), 200).token;
}

/** Runs one query on a new connection: the server may be killed between two queries. */
async function queryOnce<T>(access: DatabaseAccess, query: string, bindings: (string | number)[]): Promise<T[]> {
  const connection = await mysql.createConnection({ ...access, timezone: 'Z' });
  try {
    const [rows] = await connection.query<RowDataPacket[]>(query, bindings);
    return rows as T[];
  } finally {
    await connection.end();
  }
}

/** Migrates the schema. Returns, for each role, the settings of its database login on top of `env`. */
async function migrate(env: Env, mariadb: MariaDb | undefined): Promise<(role: ReplicaRole) => Env> {
  if (!mariadb) {
    await orion(['migrate', 'up'], env);
    return () => ({});
  }
  const password = await mariadb.createRoleUsers(env['ORION_DB_NAME'] ?? '', Object.keys(ROLE_GRANTS));
  const loginAs = (name: string): Env => ({ ORION_DB_USER: `orion_${name}`, ORION_DB_PASSWORD: password });
  await orion(['migrate', 'up'], { ...env, ...loginAs('migrate') });
  await orion(['migrate', 'grant'], { ...env, ...loginAs('migrate') });
  return loginAs;
}

/** Runs the checker as a database user who may only read. */
async function findViolations(reader: DatabaseAccess, also: Partial<Evidence> = {}): Promise<Violation[]> {
  const connection = await mysql.createConnection({ ...reader, timezone: 'Z' });
  try {
    return checkInvariants({ tables: await readTables(connection), history: [], nodes: null, ...also });
  } finally {
    await connection.end();
  }
}
