import type { EnvReader } from './env';

/** Minimum and maximum number of replicas of a service. */
export interface Bounds {
  min: number;
  max: number;
}

export interface ServiceBounds {
  api: Bounds;
  scheduler: Bounds;
}

const MOST = 1000;

/** Reads the bounds. The autoscaler decides within them, and the scale driver refuses steps outside of them. */
export function readServiceBounds(env: EnvReader): ServiceBounds {
  return { api: readBounds(env, 'API'), scheduler: readBounds(env, 'SCHEDULER') };
}

function readBounds(env: EnvReader, service: string): Bounds {
  const [minName, maxName] = [`ORION_SCALE_${service}_MIN`, `ORION_SCALE_${service}_MAX`];
  const min = env.integer(minName, { default: 1, min: 1, max: MOST });
  const max = env.integer(maxName, { default: Math.max(min, 4), min: 1, max: MOST });
  if (max < min) {
    env.fault(maxName, `must be at least ${minName}`);
  }
  return { min, max };
}
