import { createComposeDriver, type DriverDeps } from './drivers/compose';
import { createSwarmDriver } from './drivers/swarm';
import type { ScaleDriver } from './types';

export * from './types';
export { beginScaling, type Decision, decideScale, endChange, type Look, type ScalePolicy, type ScaleState } from './policy';
export { createSampler, type Sampler } from './stats';
export { type Engine, openEngine } from './engine';
export { findProject } from './project';
export * from './queries/leader';

export const SCALE_DRIVERS: Record<'compose' | 'swarm', (deps: DriverDeps) => ScaleDriver> = { compose: createComposeDriver, swarm: createSwarmDriver };
