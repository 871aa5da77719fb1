import { setMaxListeners } from 'node:events';

/** Whether a process may be sent work. It begins unready, and turns unready first of all when the process stops. */
export interface Readiness {
  /** Why not, or null when ready. */
  reason(): string | null;
  set(reason: string | null): void;
  /** Aborted once the process has begun to stop. */
  stopping: AbortSignal;
  /** Turns unready for good. */
  stop(): void;
}

export function createReadiness(): Readiness {
  let reason: string | null = 'starting';
  const stopping = new AbortController();
  // Each open stream waits for it: Node would take that for a leak.
  setMaxListeners(0, stopping.signal);
  return {
    reason: () => (stopping.signal.aborted ? 'stopping' : reason),
    set: (next) => void (reason = next),
    stopping: stopping.signal,
    stop: () => stopping.abort(),
  };
}
