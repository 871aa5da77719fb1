import { backoffSeconds } from './backoff';
import type { Clock } from './clock';
import type { Logger } from './logger';

/** Result of a pass. `more`: the batch was full, so the next pass starts at once. */
export type PassResult = 'more' | 'done';

export interface LoopOptions {
  name: string;
  intervalMs: number;
  clock: Clock;
  logger: Logger;
  /** Runs one pass. It must stop soon after `signal` aborts. */
  pass: (signal: AbortSignal) => Promise<PassResult>;
  /** Called after each pass, for metrics. */
  onPass?: (outcome: 'ok' | 'error', durationMs: number) => void;
}

/** A background loop: passes never overlap, waits are jittered (±20 %) and abortable, failures back off. */
export interface Loop {
  start(): void;
  /** Runs one pass now, outside the schedule; tests call it. Throws what the pass throws. */
  runOnce(): Promise<PassResult>;
  /** Wakes the loop if it is waiting. */
  nudge(): void;
  /** Stops the loop after its current pass. */
  stop(): Promise<void>;
}

const FAILURE_BACKOFF = { firstSeconds: 0.5, maxSeconds: 15 };

export function createLoop(options: LoopOptions): Loop {
  const { clock, intervalMs, logger, name } = options;
  const stopping = new AbortController();
  let pause: AbortController | undefined;
  let nudged = false;
  let running: Promise<void> | undefined;
  let failures = 0;

  const attempt = async (): Promise<PassResult> => {
    const startedAt = clock.monotonicMs();
    try {
      const result = await options.pass(stopping.signal);
      failures = 0;
      options.onPass?.('ok', clock.monotonicMs() - startedAt);
      return result;
    } catch (error) {
      failures += 1;
      options.onPass?.('error', clock.monotonicMs() - startedAt);
      if (!stopping.signal.aborted) {
        logger.error('loop pass failed', { loop: name, failures, error });
      }
      return 'done';
    }
  };

  const pauseMs = (): number =>
    failures > 0
      ? Math.max(intervalMs, backoffSeconds(FAILURE_BACKOFF, failures, Math.random()) * 1000)
      : intervalMs * (0.8 + 0.4 * Math.random());

  // Each wait has its own controller. Combined signals would accumulate on `stopping`, which lives as long as the process (80 bytes each on
  // Node 20).
  const wait = async (ms: number): Promise<void> => {
    if (!nudged && !stopping.signal.aborted) {
      pause = new AbortController();
      await clock.sleep(ms, pause.signal);
      pause = undefined;
    }
    nudged = false;
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const result = await attempt();
      if (result === 'more') {
        continue;
      }
      await wait(pauseMs());
    }
  };

  return {
    start: () => void (running ??= run()),
    runOnce: () => options.pass(stopping.signal),
    nudge: () => {
      nudged = true;
      pause?.abort();
    },
    stop: async () => {
      stopping.abort();
      pause?.abort();
      await running;
    },
  };
}
