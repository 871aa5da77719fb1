import type { Logger } from './logger';
import { withDeadline } from './clock';

/**
 * Stops a process in order. Code that opens something pushes its closing. Closings run in reverse order, each within its own limit. A
 * closing that fails or hangs does not keep the others from running.
 */
export interface Closer {
  push(name: string, close: () => Promise<void> | void, limitMs?: number): void;
  /** Runs every closing once; later calls return the same promise. Never rejects. */
  close(): Promise<void>;
}

const DEFAULT_LIMIT_MS = 10_000;

export function createCloser(logger: Logger): Closer {
  const closings: { name: string; close: () => Promise<void> | void; limitMs: number }[] = [];
  let closed: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    for (const { name, close, limitMs } of closings.reverse()) {
      try {
        await withDeadline(limitMs, async () => close());
      } catch (error) {
        logger.warn('closing failed', { name, error });
      }
    }
  };
  return {
    push: (name, close, limitMs = DEFAULT_LIMIT_MS) => void closings.push({ name, close, limitMs }),
    close: () => (closed ??= run()),
  };
}
