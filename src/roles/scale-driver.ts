import { hostname } from 'node:os';
import type { ScaleDriverConfig } from '../config/scale-driver';
import { createScaleDriverApp } from '../http/scale-driver/app';
import { listen } from '../http/server';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import { createReadiness, type Readiness } from '../lib/readiness';
import type { ScaleDriver } from '../modules/scaling';
import { type Engine, findProject, openEngine, reasonOf, SCALE_DRIVERS } from '../modules/scaling/docker';
import type { RunningRole } from './role';

const WAIT_MS = 1_000;
/** Time for a running step to finish. The next scale driver finds what this one left unfinished. */
const CLOSE_MS = 30_000;

interface ScaleDriverDeps {
  logger: Logger;
  clock: Clock;
}

/**
 * Starts the scale driver, which takes the steps that the autoscaler decides on. This process has the Docker socket, which makes it root on
 * the machine. It has neither a database nor a secret. It listens at once. It is ready when the engine answers and the project is known.
 */
export async function startScaleDriver(config: ScaleDriverConfig, deps: ScaleDriverDeps, signal: AbortSignal): Promise<RunningRole> {
  const { logger, clock } = deps;
  const engine = openEngine(config.dockerSocket);
  const readiness = createReadiness();
  let driver: ScaleDriver | undefined;
  const { services: bounds } = config;
  const app = createScaleDriverApp({ driver: () => driver, ping: () => engine.ping(), reasonOf, bounds, readiness, logger });
  const listening = await listen(app, { ...config.http, setting: 'ORION_HTTP_PORT', clock });
  const project = await waitForProject({ ...deps, readiness }, { engine, configured: config.project }, signal);
  if (project !== undefined) {
    driver = SCALE_DRIVERS[config.driver]({ engine, project, clock, logger });
    readiness.set(null);
    logger.info('ready', { driver: config.driver, project, services: bounds });
  }
  return {
    stop: async () => {
      readiness.stop();
      await listening.close({ limitMs: CLOSE_MS });
      logger.info('stopped', {});
    },
  };
}

interface ProjectSource {
  engine: Engine;
  configured: string | undefined;
}

/** Waits until the engine answers and the project is known. Meanwhile readiness reports the reason. Undefined: `signal` aborted first. */
async function waitForProject(
  { clock, logger, readiness }: ScaleDriverDeps & { readiness: Readiness },
  { engine, configured }: ProjectSource,
  signal: AbortSignal,
): Promise<string | undefined> {
  let logged = '';
  while (!signal.aborted) {
    const { project, reason } = await readProject(engine, configured);
    if (project !== undefined) {
      return project;
    }
    readiness.set(reason);
    if (reason !== logged) {
      logger.warn('waiting for Docker', { reason });
      logged = reason;
    }
    await clock.sleep(WAIT_MS, signal);
  }
  return undefined;
}

async function readProject(engine: Engine, configured: string | undefined): Promise<{ project: string | undefined; reason: string }> {
  try {
    await engine.ping();
    const project = configured ?? (await findProject(engine, hostname()));
    return { project, reason: 'this process is in no container of a compose project or stack: set ORION_SCALE_PROJECT' };
  } catch (error) {
    return { project: undefined, reason: `Docker does not answer: ${reasonOf(error)}` };
  }
}
