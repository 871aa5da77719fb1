import { setMaxListeners } from 'node:events';

/** Whether a process accepts work. It begins as not ready, and becomes not ready as the first step of a stop. */
export interface Readiness {
  /** Returns why the process is not ready, or null when it is ready. */
  reason(): string | null;
  set(reason: string | null): void;
  /** Aborted once the process has begun to stop. */
  stopping: AbortSignal;
  /** Makes the process not ready for good. */
  stop(): void;
}

export function createReadiness(): Readiness {
  let reason: string | null = 'starting';
  const stopping = new AbortController();
  // Each open stream adds a listener, which Node would report as a leak.
  setMaxListeners(0, stopping.signal);
  return {
    reason: () => (stopping.signal.aborted ? 'stopping' : reason),
    set: (next) => void (reason = next),
    stopping: stopping.signal,
    stop: () => stopping.abort(),
  };
}
