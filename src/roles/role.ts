/** A role that runs in this process, as `startRoles` uses it. */
export interface RunningRole {
  /** Stops the role and waits for running work. Safe to call twice. */
  stop(): Promise<void>;
  /** Resolves (never rejects) when the role cannot continue. The process then stops with a failure. */
  failed?: Promise<Error>;
  /** Resolves when the role has ended by itself and nothing is left to do. The process then stops with success. */
  ended?: Promise<void>;
}
