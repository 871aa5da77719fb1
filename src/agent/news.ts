import type { Clock } from '../lib/clock';
import type { Vitals } from './facts';

/** Tracks which vitals the control plane already has, so that heartbeats contain only changed vitals. */
export interface News {
  /** Returns all vitals when they changed noticeably since they were last accepted, else nothing. */
  pick(now: Vitals): Partial<Vitals>;
  /** Records that the control plane accepted the last picked vitals. */
  accepted(): void;
}

const LOAD_STEP = 0.5;
const SHARE_STEP = 0.1;

/** After this long, vitals are sent again unchanged: the control plane may have lost them. */
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
  return (
    Math.abs(now.load1 - told.load1) >= LOAD_STEP ||
    moved(told.memory_free_mb, now.memory_free_mb) ||
    moved(told.disk_free_mb, now.disk_free_mb)
  );
}
