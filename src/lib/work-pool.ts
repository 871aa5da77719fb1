import type { Logger } from './logger';

/**
 * Limits background work. A loop claims only as many tasks as fit and continues, so that one slow task never delays the others. Tasks must
 * not throw for expected reasons; errors that they throw are logged.
 */
export interface WorkPool {
  /** Returns how many more tasks fit now. */
  room(): number;
  /** Starts `task` at once, and resolves when it is over. The caller must check that there is room. */
  start(task: () => Promise<void>): Promise<void>;
  /** Resolves when no task runs. */
  idle(): Promise<void>;
}

/** @param onRoom called when a pool that was full has room again */
export function createWorkPool(size: number, logger: Logger, onRoom: () => void = () => undefined): WorkPool {
  const running = new Set<Promise<void>>();
  const guard = async (task: () => Promise<void>): Promise<void> => {
    try {
      await task();
    } catch (error) {
      logger.error('background task failed', { error });
    }
  };
  return {
    room: () => Math.max(0, size - running.size),
    start: (task) => {
      const run = guard(task).then(() => {
        const wasFull = running.size >= size;
        running.delete(run);
        if (wasFull) {
          onRoom();
        }
      });
      running.add(run);
      return run;
    },
    idle: async () => {
      while (running.size > 0) {
        await Promise.all(running);
      }
    },
  };
}
