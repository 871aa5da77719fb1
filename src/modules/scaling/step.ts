import type { ScaledService, ScaleStep } from './types';

/** Minimum and maximum number of replicas. */
export interface ScaleBounds {
  min: number;
  max: number;
}

/**
 * Returns why the scale driver refuses a step, or null. The policy removes one replica at a time and at most doubles their number; no other
 * step is allowed. A service outside the bounds may come nearer to them, because an operator may have started more replicas, or fewer.
 * Pure.
 */
export function problemWithStep(service: ScaledService, { from, to }: ScaleStep, { min, max }: ScaleBounds): string | null {
  const setting = `ORION_SCALE_${service.toUpperCase()}`;
  const faults: [string, boolean][] = [
    [`A step from ${from} to ${to} replicas changes nothing.`, to === from],
    [`A step down takes one replica at a time: from ${from} to ${from - 1}, not to ${to}.`, to < from - 1],
    [`${to} replicas are fewer than ${setting}_MIN of the scale driver, ${min}.`, to < from && to < min],
    [`A step up at most doubles the replicas: from ${from} to ${from * 2}, not to ${to}.`, to > from * 2],
    [`${to} replicas are more than ${setting}_MAX of the scale driver, ${max}.`, to > from && to > max],
  ];
  return faults.find(([, holds]) => holds)?.[0] ?? null;
}
