/** The services that are scaled, by their names in compose.yaml. */
export const SCALED_SERVICES = ['api', 'scheduler'] as const;

export type ScaledService = (typeof SCALED_SERVICES)[number];

/** Why a service may not be touched now. Each one passes, or waits for an operator. */
export type Obstacle =
  /** There is none to measure or to copy. */
  | 'no_replica'
  /** A replica is not up yet. */
  | 'starting'
  /** A replica was told to stop and finishes its work. */
  | 'draining'
  /** Its replicas are being replaced by others: not all are made of the same image and configuration. */
  | 'updating'
  /** A replica is paused: somebody is at work on it. */
  | 'paused'
  /** It is not the driver's to scale: a fixed name, a fixed port or address, not replicated. */
  | 'foreign';

/** CPU time that a container has used since it started, and when that was read, by the engine's clock. */
export interface CpuReading {
  usedMs: number;
  atMs: number;
}

/** One container of a service that serves. */
export interface Replica {
  containerId: string;
  name: string;
  /** Cores that it may use: its CPU limit, or one. */
  cores: number;
  /** Null: the engine gave no reading. */
  cpu: CpuReading | null;
}

/** What there is of a service now. */
export interface ServiceState {
  /** How many serve, wherever they run. */
  actual: number;
  /** Those of them that this engine runs and can measure; all of them unless a swarm spreads over several machines. */
  replicas: Replica[];
  obstacle: Obstacle | null;
}

/** Makes replicas come and go. Nothing here decides whether they should. */
export interface ScaleDriver {
  inspect(service: ScaledService): Promise<ServiceState>;
  /**
   * Begins to make `from` replicas `to`, which is one less at the least: those that come are `starting` afterwards, one that goes was told to stop, is
   * `draining`, and takes its own stop grace period at the most. Throws `state_conflict` when the service is not as it was found.
   */
  scale(service: ScaledService, step: ScaleStep): Promise<void>;
  /** Finishes what an earlier change began, whoever began it. Gives the names of what it removed. */
  tidy(service: ScaledService): Promise<string[]>;
}

export interface ScaleStep {
  from: number;
  to: number;
}
