import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from './clock';

/** Gives the memory of many small things back to the system when they are gone. */
export interface MemoryReturn {
  /** One of them has gone. */
  gone(): void;
}

/** Fewer are not worth a collection. */
const MIN_GONE = 500;
const QUIET_MS = 3_000;

/**
 * V8 collects when something allocates: a heap that was full and is idle keeps its pages for hours. After many things have gone, and no more of them for
 * a moment, this runs a full collection, which costs tens of milliseconds for what is alive and nothing for what has gone.
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

/** Node shows V8's collector to the contexts that are made while this flag is set. */
function findCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  // The first finds what is free; the second gives its pages back.
  return () => {
    collect();
    collect();
  };
}
