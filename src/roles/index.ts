import { loadAgentConfig } from '../config/agent';
import { type ControlPlaneConfig, loadControlPlaneConfig } from '../config/control-plane';
import type { Clock } from '../lib/clock';
import { systemClock } from '../lib/clock';
import { createLogger, jsonLineSink, type Logger } from '../lib/logger';
import type { ControlPlane } from './control-plane';
import type { RunningRole } from './role';

/** Loaded only when asked for: an agent never loads Knex. */
const CONTROL_PLANE_ROLES: Record<string, (plane: ControlPlane) => Promise<RunningRole>> = {
  api: async (plane) => (await import('./api')).startApi(plane),
  scheduler: async (plane) => (await import('./scheduler')).startScheduler(plane),
};

export const ROLE_NAMES = [...Object.keys(CONTROL_PLANE_ROLES), 'agent'];

/** Work in hand gets this long when the process stops. */
const STOP_LIMIT_MS = 60_000;

/** What is wrong with a choice of roles, or null. */
export function problemWithRoles(names: string[]): string | null {
  const unknown = names.filter((name) => !ROLE_NAMES.includes(name));
  if (unknown.length > 0 || names.length === 0) {
    return `--role takes ${ROLE_NAMES.join(', ')} (several joined by commas), not ${unknown.join(', ') || 'nothing'}`;
  }
  if (names.includes('agent') && names.length > 1) {
    return 'the agent runs alone: it has no business near the control plane\'s secrets';
  }
  return null;
}

/** Runs the roles until one of them ends or the process is told to stop; resolves with the exit code. Throws on a bad configuration. */
export async function startRoles(names: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const stop = stopSignal();
  return names.includes('agent') ? runAgent(env, stop) : runControlPlane(names, loadControlPlaneConfig(env), stop);
}

async function runAgent(env: NodeJS.ProcessEnv, stop: AbortSignal): Promise<number> {
  const config = loadAgentConfig(env);
  const logger = createLogger(config.logLevel, jsonLineSink, { role: 'agent' });
  const { startAgent } = await import('./agent');
  const role = await startAgent(config, { logger, clock: systemClock });
  const code = await untilOver([role], { stop, logger });
  await role.stop();
  return code;
}

async function runControlPlane(names: string[], config: Readonly<ControlPlaneConfig>, stop: AbortSignal): Promise<number> {
  const { openControlPlane, waitForSchema } = await import('./control-plane');
  const plane = openControlPlane(config, names);
  const { closer, logger, readiness } = plane;
  try {
    if (!names.includes('api')) {
      await serveOps(plane);
    }
    await waitForSchema(plane, stop);
    const roles: RunningRole[] = [];
    for (const name of stop.aborted ? [] : names) {
      const role = await CONTROL_PLANE_ROLES[name]?.(plane);
      if (role) {
        roles.push(role);
        closer.push(name, () => role.stop(), STOP_LIMIT_MS);
      }
    }
    readiness.set(null);
    logger.info('ready', { roles: names });
    const code = await untilOver(roles, { stop, logger });
    readiness.stop();
    await letTheProxyNotice(plane, names);
    return code;
  } finally {
    await closer.close();
    logger.info('stopped', {});
  }
}

/** Readiness turns first; a proxy needs a moment to see it before the socket closes. */
async function letTheProxyNotice({ clock, config }: { clock: Clock; config: Readonly<ControlPlaneConfig> }, names: string[]): Promise<void> {
  if (names.includes('api')) {
    await clock.sleep(config.http.drainSeconds * 1000);
  }
}

/** Health and metrics of a role that has no API. */
async function serveOps(plane: ControlPlane): Promise<void> {
  const [{ createOpsApp }, { listen }] = await Promise.all([import('../http/app'), import('../http/server')]);
  const { db, readiness, metrics, logger, clock, config } = plane;
  const listening = await listen(createOpsApp({ db, readiness, metrics, logger }), { ...config.ops, clock });
  plane.closer.push('ops', () => listening.close({ limitMs: 1_000 }));
}

async function untilOver(roles: RunningRole[], { stop, logger }: { stop: AbortSignal; logger: Logger }): Promise<number> {
  const told = new Promise<'told'>((resolve) => {
    if (stop.aborted) {
      resolve('told');
    }
    stop.addEventListener('abort', () => resolve('told'), { once: true });
  });
  const outcome = await Promise.race([told, ...roles.flatMap(({ failed, ended }) => [failed ?? [], ended ?? []].flat())]);
  if (outcome instanceof Error) {
    logger.error('role failed', { error: outcome });
    return 1;
  }
  return 0;
}

/** Aborts at the first SIGTERM or SIGINT. A second one finds no handler any more and ends the process at once. */
function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => stopping.abort());
  }
  return stopping.signal;
}
