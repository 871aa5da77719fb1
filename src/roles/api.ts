import { hostname } from 'node:os';
import { join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { ConfigError } from '../config/env';
import type { ApiKeys, SshConfig } from '../config/keys';
import { startTunnelKeeper } from '../flows/nodes/hold-tunnels';
import { createMigrator } from '../db/migrate';
import { signManagement } from '../flows/enrolment/management-statement';
import { type Apps, createApps } from '../http/app';
import type { Replica } from '../http/deps';
import { createLimits } from '../http/limits';
import type { Clock } from '../lib/clock';
import { createNodeFeed } from '../http/nodes/feed';
import { createNodeFinder } from '../http/node-caller';
import { listen, type Listening } from '../http/server';
import { acceptTunnels } from '../http/workers/tunnel';
import { messageOf } from '../lib/errors';
import { packageRoot } from '../lib/package-root';
import { createSessionLog } from '../modules/accounts';
import { createRefusalLog } from '../modules/audit';
import { createChallenges } from '../modules/nodes';
import type { OlderTokens } from '../modules/tunnels';
import { createMarkFinder, publicKeyOf, signingKeyOf, type SigningKey } from '../ssh';
import { createWorkContext, type WorkPlane } from './control-plane';
import { openPool } from './measure';
import type { RunningRole } from './role';

/** Time for requests in flight to finish when the process stops. A rent waits for Ansible. */
const CLOSE_LIMIT_MS = 25_000;
/** Shorter than the 10 s that an agent waits for the answer to its registration. */
const MARK_TIMEOUT_MS = 4_000;

/** Heartbeats of the whole fleet that are aimed at: 100,000 idle nodes call once in 50 s, within their longest interval of 60 s. */
const HEARTBEATS_PER_SECOND = 2_000;

/** Starts the API. It is stateless; any number of replicas may run. */
export async function startApi(plane: WorkPlane): Promise<RunningRole> {
  const { config, db, reads, clock, logger, readiness } = plane;
  const { accounts, http } = config;
  const { ssh, jwt, controlKey, oldControlKeys, older } = keysOf(plane);
  const agentsDb = openPool(plane, 'agents', config.database);
  plane.metrics.beforeScrape.add(() => plane.metrics.tunnels.set(plane.tunnels.hub.list().length));
  const challenges = createChallenges([jwt.key, ...jwt.extraKeys]);
  const management = await signManagement(
    { db },
    { username: ssh.managementUser, publicKeys: [publicKeyOf(ssh.privateKey), ...ssh.extraPublicKeys], controlKey, oldControlKeys },
  );
  const ctx = {
    ...createWorkContext(plane, 'api'),
    challenges,
    controlKey,
    findMark: createMarkFinder(plane.session, MARK_TIMEOUT_MS),
    enrolment: config.enrolment,
    tokens: jwt,
  };
  const feed = createNodeFeed({ db: reads, clock, logger });
  const refusals = createRefusalLog({ db, clock, logger });
  const sessions = createSessionLog({ db, clock, logger });
  const apps = createApps({
    readiness,
    api: {
      ctx,
      agentsDb,
      reads,
      feed,
      limits: createLimits(db, config.limits, clock),
      refusals,
      replica: describeReplica(plane),
      sessions,
      settings: {
        ...accounts,
        heartbeatIntervalSeconds: config.heartbeat.intervalSeconds,
        heartbeatIdleSeconds: config.heartbeat.idleSeconds,
        heartbeatsPerSecond: HEARTBEATS_PER_SECOND,
        contactLimitSeconds: config.heartbeat.contactLimitSeconds,
        management,
        trustProxy: http.trustProxy,
        gateway: config.gateway.address ? { ...config.gateway.address, only: config.gateway.only } : null,
        publicUrl: http.publicUrl,
      },
    },
  });
  const keeper = await startTunnelKeeper({ ...ctx, db: agentsDb, tunnels: { ...plane.tunnels, older } }, config.relay);
  const [listening, forAgents] = await listenOnBoth(apps, { ...http, clock });
  const findNodeCaller = createNodeFinder({ db: agentsDb, clock, logger });
  for (const { server } of [listening, forAgents]) {
    const { stopping } = readiness;
    acceptTunnels(server, {
      db: agentsDb,
      findNodeCaller,
      challenges,
      refusals,
      logger,
      stopping,
      take: (node, stream) => keeper.take(node, stream),
    });
  }
  readiness.stopping.addEventListener('abort', () => keeper.dismiss(), { once: true });
  feed.start();
  logger.info('listening', { host: http.host, port: listening.port, agentsPort: forAgents.port });
  return {
    stop: async () => {
      await Promise.all(
        [listening, forAgents].map((each) => each.close({ limitMs: CLOSE_LIMIT_MS, keepIdleMs: http.drainSeconds * 1000 })),
      );
      await keeper.stop();
      await feed.stop();
      await Promise.all([refusals.flush(), sessions.flush()]);
    },
  };
}

async function listenOnBoth(
  apps: Apps,
  { host, port, agentsPort, clock }: { host: string; port: number; agentsPort: number; clock: Clock },
): Promise<[Listening, Listening]> {
  return [
    await listen(apps.api, { host, port, setting: 'ORION_HTTP_PORT', clock }),
    await listen(apps.agents, { host, port: agentsPort, setting: 'ORION_AGENTS_PORT', clock }),
  ];
}

const describeReplica = ({ reads, recentLogs, shownSettings: settings }: WorkPlane): Replica => ({
  name: `${hostname()}:${process.pid}`,
  version: packageJson.version,
  settings,
  recentLogs,
  migrator: createMigrator(reads, join(packageRoot(), 'migrations')),
});

interface Keys {
  ssh: SshConfig;
  jwt: ApiKeys['jwt'];
  controlKey: SigningKey;
  oldControlKeys: SigningKey[];
  older: OlderTokens;
}

/** Reads the keys of an API. Throws a ConfigError that names the setting of a key that cannot be read. */
function keysOf({ config: { ssh, apiKeys }, olderTokens: older }: WorkPlane): Keys {
  if (ssh === null || apiKeys === null || older === undefined) {
    throw new Error('the keys of an API were not read');
  }
  const read = (name: string, key: string): SigningKey => {
    try {
      return signingKeyOf(key);
    } catch (error) {
      throw new ConfigError([`${name}: ${messageOf(error)}`]);
    }
  };
  const { jwt, control } = apiKeys;
  return {
    ssh,
    jwt,
    older,
    controlKey: read('ORION_CONTROL_KEY', control.key),
    oldControlKeys: control.oldKeys.map((key) => read('ORION_CONTROL_OLD_KEYS', key)),
  };
}
