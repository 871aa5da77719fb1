/** Whether a process may be sent work. It begins unready, and turns unready first of all when the process stops. */
export interface Readiness {
  /** Why not, or null when ready. */
  reason(): string | null;
  set(reason: string | null): void;
}

export function createReadiness(): Readiness {
  let reason: string | null = 'starting';
  return { reason: () => reason, set: (next) => void (reason = next) };
}
