/** How often agents are to call home. */
export interface Intervals {
  /** For nodes with accounts, and those of which something is awaited: no more than a third of the contact limit. */
  intervalSeconds: number;
  /** Up to this the others are told to come less and less often. */
  idleSeconds: number;
  /** What keeps the calls of the whole fleet within what the database is to bear. */
  fleetSeconds: number;
}

export interface CallHome {
  /** The node is alive, and no account is current there: nobody may have to be fenced. */
  idle: boolean;
  /** The interval that the agent keeps to. Undefined: one that would not call by itself when an account comes onto its machine. */
  keptSeconds: number | undefined;
  /** It said something of its machine. */
  news: boolean;
}

/** Seconds until the agent's next call: doubled while nothing happens, the shortest again as soon as the node is idle no more. Pure. */
export function nextInterval({ intervalSeconds, idleSeconds, fleetSeconds }: Intervals, { idle, keptSeconds, news }: CallHome): number {
  if (!idle || keptSeconds === undefined) {
    return intervalSeconds;
  }
  const least = Math.max(intervalSeconds, fleetSeconds);
  return Math.min(Math.max(least, idleSeconds), Math.max(least, news ? keptSeconds : 2 * keptSeconds));
}
