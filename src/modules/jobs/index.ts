export * from './types';
export { type JobState, summariseJobs } from './state';
export { type RunningJobs, startJobs } from './start-jobs';
export { createReportWriter, listJobReports } from './queries/reports';
export * from './queries/leader';
