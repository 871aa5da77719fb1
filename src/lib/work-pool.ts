import type { Logger } from './logger';

/**
 * Bounded background work: a loop claims only as much as there is room for and goes on, so that one slow task never keeps the others
 * waiting. Tasks must not throw for reasons they foresee; what they throw is logged.
 */
export interface WorkPool {
  /** How many more tasks fit now. */
  room(): number;
  /** Starts `task` at once. The caller has made sure that there is room. */
  start(task: () => Promise<void>): void;
  /** Resolves when nothing is under way. */
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
    },
    idle: async () => {
      while (running.size > 0) {
        await Promise.all(running);
      }
    },
  };
}
