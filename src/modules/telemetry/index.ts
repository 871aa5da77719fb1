export * from './metrics';
export { findQueueLag } from './queries/queue-lag';
export { type JobGauges } from './job-gauges';
