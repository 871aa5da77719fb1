/**
 * Time in this process, for waiting, durations and log lines only. The database's clock decides about leases and claims (see IN_SECONDS in
 * src/db/sql.ts), and never this clock.
 */
export interface Clock {
  /** Wall clock of this process. People read it; it decides nothing. */
  now(): Date;
  /** Milliseconds from an arbitrary origin, without jumps. For durations and deadlines within one process. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when `signal` aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `act` once after `ms`. Returns a function that cancels the call. For thousands of waits: a `sleep` with a signal costs more. */
  after(ms: number, act: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const wake = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      signal?.addEventListener('abort', wake, { once: true });
    }),
  after: (ms, act) => {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * Runs `work` with a hard deadline. The work gets a signal that aborts at the deadline, or when `parent` aborts. Work that ignores the
 * signal is abandoned, and the returned promise still rejects with `DeadlineError`.
 */
export async function withDeadline<T>(ms: number, work: (signal: AbortSignal) => Promise<T>, parent?: AbortSignal): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let onParentAbort: (() => void) | undefined;
  const cut = new Promise<never>((_, reject) => {
    const abort = (error: Error): void => {
      controller.abort(error);
      reject(error);
    };
    timer = setTimeout(() => abort(new DeadlineError(ms)), ms);
    onParentAbort = () => abort(new Error('aborted'));
    if (parent?.aborted) {
      onParentAbort();
    } else {
      parent?.addEventListener('abort', onParentAbort, { once: true });
    }
  });
  try {
    return await Promise.race([work(controller.signal), cut]);
  } finally {
    clearTimeout(timer);
    if (onParentAbort) {
      parent?.removeEventListener('abort', onParentAbort);
    }
  }
}

export class DeadlineError extends Error {
  override name = 'DeadlineError';
  constructor(ms: number) {
    super(`no answer within ${Math.round(ms)} ms`);
  }
}
