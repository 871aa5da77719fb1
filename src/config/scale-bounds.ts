import type { EnvReader } from './env';

/** Fewest and most replicas of a service. */
export interface Bounds {
  min: number;
  max: number;
}

export interface ServiceBounds {
  api: Bounds;
  scheduler: Bounds;
}

const MOST = 1000;

/** Autoscaler and scale driver read the same settings: the first decides within them, the second refuses what is outside. */
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
