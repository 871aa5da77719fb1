import type { AutoscalerConfig } from '../config/autoscaler';
import type { Bounds } from '../config/scale-bounds';
import { createLeaderElection, leadJob } from '../flows/support/leader-election';
import { type ScaleContext, type ScaledTarget, scaleJob, watchService } from '../flows/scaling/scale-service';
import { bind } from '../modules/jobs';
import { createRemoteDriver, createSampler, type RemoteDriver, SCALED_SERVICES, type ScalePolicy } from '../modules/scaling';
import { type Plane, runJobs } from './control-plane';
import type { RunningRole } from './role';

const WAIT_MS = 1_000;
/** Number of failed samples in a row after which earlier samples no longer count. */
const STALE_LOOKS = 3;

/** Half the width of the band around the target in which nothing changes, so that a noisy load does not make replicas come and go. */
const TOLERANCE_PERCENT = 10;
/** Lateness of the oldest due probe or placement at which a scheduler is added: as long as one probe that gets no answer takes. */
const LAG_SECONDS = 5;

/**
 * Starts the closed loop (R31). A single autoscaler is the leader: it takes samples of each service and starts and stops replicas. The
 * others wait to take over.
 */
export async function startAutoscaler(plane: Plane, config: AutoscalerConfig, signal: AbortSignal): Promise<RunningRole> {
  const { db, clock, logger, metrics } = plane;
  const driver = createRemoteDriver(config.driverUrl);
  if (!(await waitForDriver(plane, driver, signal))) {
    return { stop: () => Promise.resolve() };
  }
  const lead = config.dryRun
    ? undefined
    : createLeaderElection({ db, clock, logger }, { name: 'autoscaler', limitSeconds: config.leaderSeconds });
  const ctx: ScaleContext = { db, clock, logger, metrics, driver, lead: lead?.claim };

  const { intervalSeconds } = config;
  const leads = (): boolean => lead?.holds() ?? true;
  const scaling = SCALED_SERVICES.map((service) => {
    const sampler = createSampler({ staleMs: STALE_LOOKS * intervalSeconds * 1000 });
    const policy = toPolicy(config, config.services[service]);
    const begin = (): ScaledTarget => watchService(ctx, { service, policy, sampler });
    return bind(scaleJob(service), { ...ctx, intervalSeconds, leads, begin, target: undefined });
  });
  const leading = lead ? [bind(leadJob, { lead, metrics })] : [];
  const jobs = runJobs(plane, 'autoscaler', [...leading, ...scaling]);
  logger.info('scaling', { driver: config.driverUrl, dryRun: config.dryRun, services: config.services });
  return {
    stop: async () => {
      await jobs.stop(leadJob.name);
      await lead?.handBack();
      await jobs.stop();
    },
  };
}

function toPolicy(config: AutoscalerConfig, { min, max }: Bounds): ScalePolicy {
  const { targetPercent, stabilisationSeconds, cooldownSeconds, intervalSeconds } = config;
  const thresholds = { targetPercent, tolerancePercent: TOLERANCE_PERCENT, lagSeconds: LAG_SECONDS };
  const times = { stabilisationSeconds, cooldownSeconds, smoothingSeconds: intervalSeconds, staleSeconds: STALE_LOOKS * intervalSeconds };
  return { min, max, ...thresholds, ...times };
}

/** Waits until the scale driver is ready. Meanwhile readiness reports the reason. False: `signal` aborted first. */
async function waitForDriver({ clock, logger, readiness }: Plane, driver: RemoteDriver, signal: AbortSignal): Promise<boolean> {
  let logged = '';
  while (!signal.aborted) {
    const reason = await driver.whyNotReady();
    if (reason === null) {
      return true;
    }
    readiness.set(reason);
    if (reason !== logged) {
      logger.warn('waiting for the scale driver', { reason });
      logged = reason;
    }
    await clock.sleep(WAIT_MS, signal);
  }
  return false;
}
