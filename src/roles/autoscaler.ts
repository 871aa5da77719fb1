import type { AutoscalerConfig } from '../config/autoscaler';
import type { Bounds } from '../config/scale-bounds';
import { createLead, type Lead } from '../flows/support/keep-lead';
import { type ScaleContext, scaleService, watchService } from '../flows/scaling/scale-service';
import { createLoop, type Loop, type PassResult } from '../lib/loop';
import { createRemoteDriver, createSampler, type RemoteDriver, SCALED_SERVICES, type ScalePolicy } from '../modules/scaling';
import type { Plane } from './control-plane';
import { countPasses } from '../modules/telemetry';
import type { RunningRole } from './role';

const WAIT_MS = 1_000;
/** Looks that may fail in a row before what was seen counts no more. */
const STALE_LOOKS = 3;

/** The closed loop (R31): one autoscaler leads, looks at each service, and makes replicas come and go; the others wait to take over. */
export async function startAutoscaler(plane: Plane, config: AutoscalerConfig, signal: AbortSignal): Promise<RunningRole> {
  const { db, clock, logger, metrics } = plane;
  const driver = createRemoteDriver(config.driverUrl);
  if (!(await waitForDriver(plane, driver, signal))) {
    return { stop: () => Promise.resolve() };
  }
  const lead = config.dryRun ? undefined : createLead({ db, clock, logger }, { name: 'autoscaler', limitSeconds: config.leaderSeconds });
  const ctx: ScaleContext = { db, clock, logger, metrics, driver, lead: lead?.claim };

  const loops: Loop[] = [];
  const loop = (name: string, intervalMs: number, pass: () => Promise<PassResult>): Loop => {
    const made = createLoop({ name, intervalMs, clock, logger, pass, onPass: countPasses(metrics, name) });
    loops.push(made);
    return made;
  };
  const leading = lead && loop('lead', lead.intervalMs, async () => {
    metrics.scaleLeads.set((await lead.keep()) ? 1 : 0);
    return 'done';
  });
  for (const service of SCALED_SERVICES) {
    const sampler = createSampler({ staleMs: STALE_LOOKS * config.intervalSeconds * 1000 });
    const policy = toPolicy(config, config.services[service]);
    loop(`scale-${service}`, config.intervalSeconds * 1000, createPass(ctx, { lead, watch: () => watchService(ctx, { service, policy, sampler }) }));
  }

  loops.forEach((each) => each.start());
  logger.info('scaling', { driver: config.driverUrl, dryRun: config.dryRun, services: config.services });
  return {
    stop: async () => {
      await leading?.stop();
      await lead?.handBack();
      await Promise.all(loops.map((each) => each.stop()));
    },
  };
}

/** Whoever gets the lead begins anew: it does not know what was seen and done before. */
function createPass(ctx: ScaleContext, { lead, watch }: { lead: Lead | undefined; watch: () => ReturnType<typeof watchService> }): () => Promise<PassResult> {
  let target: ReturnType<typeof watchService> | undefined;
  return async () => {
    if (lead && !lead.holds()) {
      target = undefined;
      return 'done';
    }
    await scaleService(ctx, (target ??= watch()));
    return 'done';
  };
}

function toPolicy(config: AutoscalerConfig, { min, max }: Bounds): ScalePolicy {
  const { targetPercent, tolerancePercent, stabilisationSeconds, cooldownSeconds, intervalSeconds, lagSeconds } = config;
  return { min, max, targetPercent, tolerancePercent, stabilisationSeconds, cooldownSeconds, lagSeconds, smoothingSeconds: intervalSeconds, staleSeconds: STALE_LOOKS * intervalSeconds };
}

/** Waits until the scale driver is ready; meanwhile readiness has the reason. False: `signal` aborted before. */
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
