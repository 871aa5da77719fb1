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
  return { api: readBounds(env, 'api'), scheduler: readBounds(env, 'scheduler') };
}

function readBounds(env: EnvReader, service: keyof ServiceBounds): Bounds {
  const [minName, maxName] = (['MIN', 'MAX'] as const).map((end) => `ORION_SCALE_${service.toUpperCase()}_${end}`) as [string, string];
  const about = { min: 1, max: MOST, unit: 'replicas', roles: ['autoscaler', 'scale-driver'] } as const;
  const min = env.integer(minName, {
    ...about,
    default: 1,
    doc: `Fewest replicas of \`${service}\`: the autoscaler keeps to it, the scale driver enforces it.`,
  });
  const max = env.integer(maxName, { ...about, default: Math.max(min, 4), doc: `Most replicas of \`${service}\`, in the same way.` });
  if (max < min) {
    env.fault(maxName, `must be at least ${minName}`);
  }
  return { min, max };
}
