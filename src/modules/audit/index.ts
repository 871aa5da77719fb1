export * from './types';
export * from './follow-events';
export * from './refusals';
export * from './queries/events';
export * from './queries/old-events';
