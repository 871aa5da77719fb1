import { startTunnelKeeper } from '../flows/hold-tunnels';
import { createDatabase } from '../db/connection';
import { type Apps, createApps } from '../http/app';
import { createLimits } from '../http/limits';
import type { Clock } from '../lib/clock';
import { createNodeFeed } from '../http/nodes/feed';
import { listen, type Listening } from '../http/server';
import { acceptTunnels } from '../http/workers/tunnel';
import { publicKeyOf } from '../ssh';
import { type ControlPlane, createWorkContext } from './control-plane';
import type { RunningRole } from './role';

/** Requests in flight get this long to finish when the process stops; a rent waits for Ansible. */
const CLOSE_LIMIT_MS = 25_000;

/** The API: stateless, any number of replicas. */
export async function startApi(plane: ControlPlane): Promise<RunningRole> {
  const { config, db, clock, logger, readiness } = plane;
  const { accounts, jwt, ssh, http } = config;
  const agentsDb = createDatabase(config.database);
  plane.closer.push('database of the agents', () => agentsDb.destroy());
  const ctx = { ...createWorkContext(plane, 'api'), enrolment: config.enrolment, firstUid: config.firstUid, tokens: jwt };
  const feed = createNodeFeed({ db, clock, logger });
  const apps = createApps({
    readiness,
    api: {
      ctx,
      agentsDb,
      feed,
      limits: createLimits(db, config.limits, clock),
      settings: {
        ...accounts,
        heartbeatIntervalSeconds: config.heartbeat.intervalSeconds,
        heartbeatIdleSeconds: config.heartbeat.idleSeconds,
        heartbeatsPerSecond: config.heartbeat.perSecond,
        heartbeatBatchMs: config.heartbeat.batchMs,
        contactLimitSeconds: config.heartbeat.contactLimitSeconds,
        managementUser: ssh.managementUser,
        managementKeys: [publicKeyOf(ssh.privateKey), ...ssh.extraPublicKeys],
        trustProxy: http.trustProxy,
        gateway: config.gateway.address ?? null,
        publicUrl: http.publicUrl,
      },
    },
  });
  const keeper = await startTunnelKeeper({ ...ctx, db: agentsDb, tunnels: plane.tunnels }, config.relay);
  const [listening, forAgents] = await listenOnBoth(apps, { ...http, clock });
  for (const { server } of [listening, forAgents]) {
    acceptTunnels(server, { db: agentsDb, logger, stopping: readiness.stopping, take: (node, stream) => keeper.take(node, stream) });
  }
  readiness.stopping.addEventListener('abort', () => keeper.dismiss(), { once: true });
  feed.start();
  logger.info('listening', { host: http.host, port: listening.port, agentsPort: forAgents.port });
  return {
    stop: async () => {
      await Promise.all([listening, forAgents].map((each) => each.close({ limitMs: CLOSE_LIMIT_MS, keepIdleMs: http.drainSeconds * 1000 })));
      await keeper.stop();
      await feed.stop();
    },
  };
}

async function listenOnBoth(apps: Apps, { host, port, agentsPort, clock }: { host: string; port: number; agentsPort: number; clock: Clock }): Promise<[Listening, Listening]> {
  return [await listen(apps.api, { host, port, clock }), await listen(apps.agents, { host, port: agentsPort, clock })];
}
