export * from './metrics';
export { findQueueLag } from './queries/queue-lag';
