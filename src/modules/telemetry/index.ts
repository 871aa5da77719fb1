export * from './metrics';
export { type JobGauges } from './job-gauges';
