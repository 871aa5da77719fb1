import type { EnvReader } from './env';

/** Reads a duration in seconds. It may have fractions, for tests and fleets that need short intervals. */
export function readSeconds(env: EnvReader, name: string, { default: fallback, min = 0.05, max = 86_400 }: { default: number; min?: number; max?: number }): number {
  const value = Number(env.text(name, { default: String(fallback) }));
  if (!Number.isFinite(value) || value < min || value > max) {
    env.fault(name, `must be a number of seconds from ${min} to ${max}`);
    return fallback;
  }
  return value;
}
