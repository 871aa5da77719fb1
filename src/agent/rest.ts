import type { Clock } from '../lib/clock';

/** The pause between two calls home, which may be cut short. */
export interface Rest {
  /** Resolves after `ms`, or when `signal` aborts, or when it is cut: then true. */
  take(ms: number, signal: AbortSignal): Promise<boolean>;
  /** Ends the rest that is being taken, or else the next one: the call that is being made may have come too early. */
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
