/** A role that runs in this process, as the composition root sees it. */
export interface RunningRole {
  /** Stops in order and waits for the work in hand. Safe to call twice. */
  stop(): Promise<void>;
  /** Resolves (never rejects) when the role can go on no longer; the process then stops with a failure. */
  failed?: Promise<Error>;
  /** Resolves when the role is over of its own accord and nothing is left to do; the process then stops with success. */
  ended?: Promise<void>;
}
