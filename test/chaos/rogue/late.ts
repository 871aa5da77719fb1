import { systemClock } from '../../../src/lib/clock';

const EVERY_MS = 100;

/** How late this very process was at the worst: what the machine owes to everything on it, and a bound on time has to allow for. */
export interface Lateness {
  worstSeconds(): number;
  stop(): Promise<void>;
}

export function measureLateness(): Lateness {
  let worst = 0;
  const stopping = new AbortController();
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      const startedAt = systemClock.monotonicMs();
      await systemClock.sleep(EVERY_MS, stopping.signal);
      worst = Math.max(worst, (systemClock.monotonicMs() - startedAt - EVERY_MS) / 1000);
    }
  })();
  return {
    worstSeconds: () => worst,
    stop: () => {
      stopping.abort();
      return loop;
    },
  };
}
