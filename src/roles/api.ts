import { startTunnelKeeper } from '../flows/hold-tunnels';
import { createApp } from '../http/app';
import { createLimits } from '../http/limits';
import { createNodeFeed } from '../http/nodes/feed';
import { listen } from '../http/server';
import { acceptTunnels } from '../http/workers/tunnel';
import { publicKeyOf } from '../ssh';
import { type ControlPlane, createWorkContext } from './control-plane';
import type { RunningRole } from './role';

/** Requests in flight get this long to finish when the process stops; a rent waits for Ansible. */
const CLOSE_LIMIT_MS = 25_000;

/** The API: stateless, any number of replicas. */
export async function startApi(plane: ControlPlane): Promise<RunningRole> {
  const { config, db, clock, logger, readiness, metrics } = plane;
  const { accounts, jwt, ssh, http } = config;
  const ctx = { ...createWorkContext(plane, 'api'), enrolment: config.enrolment, firstUid: config.firstUid, tokens: jwt };
  const feed = createNodeFeed({ db, clock, logger });
  const app = createApp({
    health: { db, readiness, metrics, logger },
    api: {
      ctx,
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
  const keeper = await startTunnelKeeper({ ...ctx, tunnels: plane.tunnels }, config.relay);
  const listening = await listen(app, { host: http.host, port: http.port, clock });
  acceptTunnels(listening.server, { db, logger, stopping: readiness.stopping, take: (node, stream) => keeper.take(node, stream) });
  readiness.stopping.addEventListener('abort', () => keeper.dismiss(), { once: true });
  feed.start();
  logger.info('listening', { host: http.host, port: listening.port });
  return {
    stop: async () => {
      await listening.close({ limitMs: CLOSE_LIMIT_MS, keepIdleMs: http.drainSeconds * 1000 });
      await keeper.stop();
      await feed.stop();
    },
  };
}
