import type { Clock } from '../lib/clock';

/** The pause between two requests to the control plane. It can be cut short. */
export interface Rest {
  /** Waits for `ms`, or until `signal` aborts or the pause is cut. Resolves true when it was cut. */
  take(ms: number, signal: AbortSignal): Promise<boolean>;
  /** Ends the current pause, or else the next one: a request that is in flight may have been sent too early. */
  cut(): void;
}

export function createRest(clock: Clock): Rest {
  let wasCut = false;
  let pause: AbortController | undefined;
  return {
    take: async (ms, signal) => {
      const taken = new AbortController();
      const end = (): void => taken.abort();
      pause = taken;
      signal.addEventListener('abort', end, { once: true });
      if (!wasCut && !signal.aborted) {
        await clock.sleep(ms, taken.signal);
      }
      signal.removeEventListener('abort', end);
      pause = undefined;
      const cut = wasCut;
      wasCut = false;
      return cut;
    },
    cut: () => {
      wasCut = true;
      pause?.abort();
    },
  };
}
