export * from './types';
export { beginScaling, type Decision, decideScale, endChange, type ScalePolicy, type ScaleState } from './policy';
export { createSampler, type Sampler } from './stats';
export { createRemoteDriver, type RemoteDriver } from './drivers/remote';
export { problemWithStep, type ScaleBounds } from './step';
export { presentState, stepWire } from './wire';
