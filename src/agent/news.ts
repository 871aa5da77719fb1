import type { Clock } from '../lib/clock';
import type { Vitals } from './facts';

/** What the control plane was told of this machine, so that nothing is said twice. */
export interface News {
  /** Nothing, or all of it when something has changed noticeably since it was last accepted. */
  pick(now: Vitals): Partial<Vitals>;
  /** What was picked last was accepted. */
  accepted(): void;
}

const LOAD_STEP = 0.5;
const SHARE_STEP = 0.1;

/** The control plane may have lost what it was told. */
const REPEAT_MS = 600_000;

export function createNews({ monotonicMs }: Pick<Clock, 'monotonicMs'>): News {
  let toldAtMs = 0;
  let told: Vitals | undefined;
  let picked: Vitals | undefined;
  return {
    pick: (now) => {
      picked = told === undefined || isNews(told, now) || monotonicMs() - toldAtMs > REPEAT_MS ? now : undefined;
      return picked ?? {};
    },
    accepted: () => {
      if (picked !== undefined) {
        told = picked;
        toldAtMs = monotonicMs();
      }
    },
  };
}

function isNews(told: Vitals, now: Vitals): boolean {
  const moved = (before: number, after: number): boolean => Math.abs(after - before) > SHARE_STEP * before;
  return Math.abs(now.load1 - told.load1) >= LOAD_STEP || moved(told.memory_free_mb, now.memory_free_mb) || moved(told.disk_free_mb, now.disk_free_mb);
}
