/**
 * Time as a process sees it. Used for waiting, for durations and for log lines only: what a lease or a claim may do is
 * decided by the database's clock (db/time), never by this one.
 */
export interface Clock {
  /** Wall clock of this process. For people's eyes; decides nothing. */
  now(): Date;
  /** Milliseconds from an arbitrary origin that never jump. For durations and deadlines within one process. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when `signal` aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `act` once after `ms`; gives what takes that back. Where thousands wait: a sleep that a signal can cut is dear in comparison. */
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
 * Runs `work` with a hard deadline. The work gets a signal that aborts at the deadline (or when `parent` aborts); a work that
 * ignores it is abandoned and the returned promise rejects with `DeadlineError` all the same.
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
