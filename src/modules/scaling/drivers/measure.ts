import type { Logger } from '../../../lib/logger';
import { messageOf } from '../../../lib/errors';
import type { ContainerInfo, Engine } from '../engine';
import type { CpuReading, Replica } from '../types';
import { nameOf } from './clone';

/** Cores that a container may use: its limit, or one. Pure. */
export function coresOf({ HostConfig: { NanoCpus, CpuQuota, CpuPeriod } }: ContainerInfo): number {
  if (NanoCpus) {
    return NanoCpus / 1e9;
  }
  return CpuQuota && CpuQuota > 0 ? CpuQuota / (CpuPeriod || 100_000) : 1;
}

interface MeasureDeps {
  engine: Pick<Engine, 'readCpu'>;
  logger: Logger;
}

/** Reads the CPU time of all these containers at once. A failed reading is logged and null; the replica still counts. */
export function measureReplicas(containers: ContainerInfo[], deps: MeasureDeps): Promise<Replica[]> {
  return Promise.all(
    containers.map(async (container) => ({
      containerId: container.Id,
      name: nameOf(container),
      cores: coresOf(container),
      cpu: await readCpu(container, deps),
    })),
  );
}

async function readCpu(container: ContainerInfo, { engine, logger }: MeasureDeps): Promise<CpuReading | null> {
  try {
    const { usedMs, atMs } = await engine.readCpu(container.Id);
    // The engine omits fields for a container that is just ending.
    return Number.isFinite(usedMs) && Number.isFinite(atMs) ? { usedMs, atMs } : null;
  } catch (error) {
    logger.warn('replica not measured', { replica: nameOf(container), reason: messageOf(error) });
    return null;
  }
}
