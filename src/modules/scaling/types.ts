/** The services that Orion scales, by their names in compose.yaml. */
export const SCALED_SERVICES = ['api', 'scheduler'] as const;

export type ScaledService = (typeof SCALED_SERVICES)[number];

/** Why a service must not be changed now. Each obstacle passes by itself, or waits for an operator. */
export type Obstacle =
  /** There is no replica to measure or to copy. */
  | 'no_replica'
  /** A replica is not up yet. */
  | 'starting'
  /** A replica is stopping: it finishes its work. */
  | 'draining'
  /** An update is replacing the replicas: not all have the same image and configuration. */
  | 'updating'
  /** A replica is paused, because somebody is working on it. */
  | 'paused'
  /** The driver cannot scale it: it has a fixed name, port or address, or is not replicated. */
  | 'foreign';

/** The CPU time that a container has used since its start, and the time of the reading by the engine's clock. */
export interface CpuReading {
  usedMs: number;
  atMs: number;
}

/** One serving container of a service. */
export interface Replica {
  containerId: string;
  name: string;
  /** Cores that the container may use: its CPU limit, or one. */
  cores: number;
  /** Null when the engine gave no reading. */
  cpu: CpuReading | null;
}

/** The current state of a service. */
export interface ServiceState {
  /** Number of serving replicas, on all machines. */
  actual: number;
  /** The replicas on this engine, which it can measure. These are all of them, unless a swarm uses several machines. */
  replicas: Replica[];
  obstacle: Obstacle | null;
}

/** Adds and removes replicas. The driver does not decide whether to. */
export interface ScaleDriver {
  inspect(service: ScaledService): Promise<ServiceState>;
  /**
   * Starts a change from `from` replicas to `to`; a step down removes one. New replicas are `starting` afterwards. A removed replica is
   * `draining`, and takes at most its stop grace period to stop. Throws `state_conflict` when the service is not in the expected state.
   */
  scale(service: ScaledService, step: ScaleStep): Promise<void>;
  /** Finishes earlier changes, no matter which process started them. Returns the names of the removed containers. */
  tidy(service: ScaledService): Promise<string[]>;
}

export interface ScaleStep {
  from: number;
  to: number;
}
