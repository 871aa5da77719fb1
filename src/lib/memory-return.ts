import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from './clock';

/** Returns the memory of many small objects to the system after they are gone. */
export interface MemoryReturn {
  /** Counts one object that is gone. */
  gone(): void;
}

/** A collection is not worth it for fewer objects. */
const MIN_GONE = 500;
const QUIET_MS = 3_000;

/**
 * Creates the counter. V8 collects when something allocates, so a heap that was full and is now idle keeps its pages for hours. After many
 * objects have gone and then none for a moment, this runs a full collection. It costs tens of milliseconds for live objects and nothing for
 * dead ones.
 */
export function createMemoryReturn(clock: Pick<Clock, 'after'>, collect: () => void = findCollector()): MemoryReturn {
  let count = 0;
  let cancel = (): void => undefined;
  return {
    gone: () => {
      count += 1;
      if (count < MIN_GONE) {
        return;
      }
      cancel();
      cancel = clock.after(QUIET_MS, () => {
        count = 0;
        collect();
      });
    },
  };
}

/** Returns V8's collector. Node exposes it to contexts that are created while this flag is set. */
function findCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  // The first collection finds free memory; the second returns its pages.
  return () => {
    collect();
    collect();
  };
}
