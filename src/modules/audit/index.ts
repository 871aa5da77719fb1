export * from './types';
export * from './follow-events';
export * from './queries/events';
