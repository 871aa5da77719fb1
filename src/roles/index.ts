import { loadAgentConfig } from '../config/agent';
import { loadAutoscalerConfig } from '../config/autoscaler';
import { loadControlPlaneConfig } from '../config/control-plane';
import { warnOfSettings } from '../config/retired';
import { loadScaleDriverConfig } from '../config/scale-driver';
import { showSettings } from '../config/shown-settings';
import { systemClock } from '../lib/clock';
import { createLogger, jsonLineSink, type Logger } from '../lib/logger';
import type { ControlPlane, Plane, WorkPlane } from './control-plane';
import type { RunningRole } from './role';

/**
 * Functions that start the control-plane roles. Each module is imported only when its role is requested, so that an agent never loads Knex.
 */
const CONTROL_PLANE_ROLES: Record<string, (planes: Planes) => Promise<RunningRole>> = {
  api: async ({ workPlane }) => (await import('./api')).startApi(workPlane()),
  scheduler: async ({ workPlane }) => (await import('./scheduler')).startScheduler(workPlane()),
  gateway: async ({ plane }) => (await import('./gateway')).startGateway(plane),
};

interface Planes {
  plane: ControlPlane;
  /** Opened for the first role that calls it, and shared by all roles of the process. */
  workPlane: () => WorkPlane;
}

/** Roles that must run alone, with the reason. */
const ALONE: Record<string, string> = {
  autoscaler: 'the autoscaler runs alone: it has the database, and no key of the control plane',
  'scale-driver': 'the scale driver runs alone: it has the Docker socket and so is root on its machine, and may hold no secret',
  agent: "the agent runs alone: it has no business near the control plane's secrets",
};

export const ROLE_NAMES = [...Object.keys(CONTROL_PLANE_ROLES), ...Object.keys(ALONE)];

/** Time for running work to finish when the process stops. */
const STOP_LIMIT_MS = 60_000;

/** Returns what is wrong with a choice of roles, or null. */
export function problemWithRoles(names: string[]): string | null {
  const unknown = names.filter((name) => !ROLE_NAMES.includes(name));
  if (unknown.length > 0 || names.length === 0) {
    return `--role takes ${ROLE_NAMES.join(', ')} (several joined by commas), not ${unknown.join(', ') || 'nothing'}`;
  }
  const alone = names.length > 1 ? names.find((name) => name in ALONE) : undefined;
  return alone === undefined ? null : (ALONE[alone] ?? null);
}

/**
 * Runs the roles until one of them ends or the process gets SIGTERM or SIGINT. Resolves with the exit code. Throws on a bad configuration.
 */
export async function startRoles(names: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const stop = stopSignal();
  if (names.includes('agent')) {
    return runAgent(env, stop);
  }
  if (names.includes('scale-driver')) {
    return runScaleDriver(env, stop);
  }
  return names.includes('autoscaler') ? runAutoscaler(env, stop) : runControlPlane(names, env, stop);
}

async function runAgent(env: NodeJS.ProcessEnv, stop: AbortSignal): Promise<number> {
  const config = loadAgentConfig(env);
  const logger = createLogger(config.logLevel, jsonLineSink, { role: 'agent' });
  warnOfSettings(env, logger);
  const { startAgent } = await import('./agent');
  const role = await startAgent(config, { logger, clock: systemClock });
  const code = await untilOver([role], { stop, logger });
  await role.stop();
  return code;
}

async function runScaleDriver(env: NodeJS.ProcessEnv, stop: AbortSignal): Promise<number> {
  const config = loadScaleDriverConfig(env);
  const [{ startScaleDriver }, { createWinstonSink }] = await Promise.all([import('./scale-driver'), import('../lib/winston-sink')]);
  const logger = createLogger(config.logLevel, createWinstonSink(), { role: 'scale-driver' });
  warnOfSettings(env, logger);
  const role = await startScaleDriver(config, { logger, clock: systemClock }, stop);
  const code = await untilOver([role], { stop, logger });
  await role.stop();
  return code;
}

async function runControlPlane(names: string[], env: NodeJS.ProcessEnv, stop: AbortSignal): Promise<number> {
  const config = loadControlPlaneConfig(env, names);
  const { openControlPlane, openWorkPlane } = await import('./control-plane');
  const plane = openControlPlane(config, names, showSettings(env, names));
  warnOfSettings(env, plane.logger);
  await traceProcess(plane, names, env);
  let work: WorkPlane | undefined;
  const planes: Planes = { plane, workPlane: () => (work ??= openWorkPlane(plane)) };
  const serves = names.includes('api');
  return runOnPlane(plane, {
    names,
    ops: config.ops,
    // A proxy needs time to notice that readiness has changed before the socket closes.
    drainSeconds: serves ? config.http.drainSeconds : 0,
    start: async (name) => CONTROL_PLANE_ROLES[name]?.(planes),
    stop,
  });
}

async function runAutoscaler(env: NodeJS.ProcessEnv, stop: AbortSignal): Promise<number> {
  const config = loadAutoscalerConfig(env);
  const { openPlane } = await import('./control-plane');
  const plane = openPlane(config, ['autoscaler']);
  warnOfSettings(env, plane.logger);
  await traceProcess(plane, ['autoscaler'], env);
  const start = async (): Promise<RunningRole> => (await import('./autoscaler')).startAutoscaler(plane, config, stop);
  return runOnPlane(plane, { names: ['autoscaler'], ops: config.ops, drainSeconds: 0, start, stop });
}

/** Time to send the last spans when the process stops. */
const LAST_SPANS_MS = 2_000;

/** Exports the spans of the process if the standard variables of OpenTelemetry name a receiver. Otherwise the SDK is not even loaded. */
async function traceProcess({ closer, logger }: Plane, names: string[], env: NodeJS.ProcessEnv): Promise<void> {
  if (env['OTEL_EXPORTER_OTLP_ENDPOINT'] && env['OTEL_SDK_DISABLED'] !== 'true') {
    const { exportTraces } = await import('../lib/trace-export');
    closer.push('traces', exportTraces(names, logger), LAST_SPANS_MS);
  }
}

interface Run {
  names: string[];
  /** Address at which health and metrics are served. */
  ops: { host: string; port: number };
  drainSeconds: number;
  start: (name: string) => Promise<RunningRole | undefined>;
  stop: AbortSignal;
}

async function runOnPlane(plane: Plane, { names, ops, drainSeconds, start, stop }: Run): Promise<number> {
  const { closer, clock, logger, readiness } = plane;
  const { waitForSchema } = await import('./control-plane');
  try {
    await serveOps(plane, ops);
    await waitForSchema(plane, stop);
    const roles: RunningRole[] = [];
    for (const name of stop.aborted ? [] : names) {
      const role = await start(name);
      if (role) {
        roles.push(role);
        closer.push(name, () => role.stop(), STOP_LIMIT_MS);
      }
    }
    readiness.set(null);
    logger.info('ready', { roles: names });
    const code = await untilOver(roles, { stop, logger });
    readiness.stop();
    await clock.sleep(drainSeconds * 1000);
    return code;
  } finally {
    await closer.close();
    logger.info('stopped', {});
  }
}

/** Serves health and metrics at a separate port that no proxy forwards to. */
async function serveOps(plane: Plane, at: { host: string; port: number }): Promise<void> {
  const { reads: db, scrapes, readiness, metrics, logger, clock, closer } = plane;
  const [{ createOpsApp }, { listen }] = await Promise.all([import('../http/app'), import('../http/server')]);
  const app = createOpsApp({ db, scrapes, readiness, metrics, logger });
  const listening = await listen(app, { ...at, setting: 'ORION_OPS_PORT', clock });
  closer.push('ops', () => listening.close({ limitMs: 1_000 }));
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

/** Returns a signal that aborts at the first SIGTERM or SIGINT. The handler is then gone, so a second signal ends the process at once. */
function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => stopping.abort());
  }
  return stopping.signal;
}
