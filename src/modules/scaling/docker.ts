/** The part of this module that needs the Docker socket. Only the role scale-driver imports it. */
import { createComposeDriver, type DriverDeps } from './drivers/compose';
import { createSwarmDriver } from './drivers/swarm';
import type { ScaleDriver } from './types';

export { type Engine, openEngine, reasonOf } from './engine';
export { findProject } from './project';

export const SCALE_DRIVERS: Record<'compose' | 'swarm', (deps: DriverDeps) => ScaleDriver> = {
  compose: createComposeDriver,
  swarm: createSwarmDriver,
};
