/** Intervals from which the API computes the heartbeat schedule of an agent. */
export interface Intervals {
  /** For nodes that have an account or are not alive: at most a third of the lease timeout. */
  intervalSeconds: number;
  /** Longest interval of idle nodes: their interval doubles up to this. */
  idleSeconds: number;
  /** Shortest interval of idle nodes. It limits the heartbeats of the whole fleet to the rate that the database can process. */
  fleetSeconds: number;
}

export interface CallHome {
  /** The node is alive and has no current account, so self-fencing cannot become necessary there. */
  idle: boolean;
  /**
   * The interval that the agent keeps now. Undefined: the agent does not send a heartbeat by itself when an account appears on its machine.
   */
  keptSeconds: number | undefined;
  /** The heartbeat contains changed vitals. */
  news: boolean;
}

/**
 * Returns the seconds until the agent's next heartbeat. The interval of an idle node doubles while its vitals do not change. A node that is
 * no longer idle gets the shortest interval at once. Pure.
 */
export function nextInterval({ intervalSeconds, idleSeconds, fleetSeconds }: Intervals, { idle, keptSeconds, news }: CallHome): number {
  if (!idle || keptSeconds === undefined) {
    return intervalSeconds;
  }
  const least = Math.max(intervalSeconds, fleetSeconds);
  return Math.min(Math.max(least, idleSeconds), Math.max(least, news ? keptSeconds : 2 * keptSeconds));
}
