export * from './types';
export * from './follow-events';
export * from './refusals';
export * from './queries/events';
export * from './queries/old-events';
export * from './queries/entries';
export * from './queries/heads';
export * from './head-cache';
