export * from './types';
export * from './queries/events';
