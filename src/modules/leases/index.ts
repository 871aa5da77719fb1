export * from './types';
export * from './after-failure';
export * from './lease-term';
export * from './queries/find-leases';
export * from './queries/placements';
export * from './queries/rents';
export * from './queries/transitions';
export * from './queries/whereabouts';
