/** Real servers for tests, the demo and benchmarks; all on 127.0.0.0/8, all gone when their lab closes or its process dies. */
export { startCaddy, type Caddy, type CaddyOptions } from './caddy';
export { startDatabaseProxy, type CommitFate, type DatabaseProxy } from './database-proxy';
export { openDocker, type DockerEngine } from './docker';
export { eventually, type EventuallyOptions } from './eventually';
export { createLab, type Lab, type LabOptions } from './lab';
export { startMariaDb, type DatabaseAccess, type MariaDb, type MariaDbOptions } from './mariadb';
export { startOrion, type OrionOptions, type OrionProcess } from './orion';
export { launchScript, programDir, projectDir } from './paths';
export { freePort } from './ports';
export { childCoverageEnv, startProcess, type ExitStatus, type LabProcess, type ProcessSpec } from './process';
export { run, runOrThrow, type RunOptions, type RunResult } from './run';
export { sharedMariaDb, type SharedMariaDb } from './shared-mariadb';
export { skewed } from './skewed';
export { generateSshKeyPair, sshExec, sshOptions, type SshExecOptions, type SshKeyPair, type SshTarget } from './ssh';
export { describeStack, startStack, type Container, type Stack, type StackOptions } from './stack';
export { createStepControl, type StepControl, untilHeld } from './steps';
export { launchWorkers, type Cut, type LaunchOptions, type Worker, type WorkerFleet } from './workers';
export type { WorkerState } from './worker-line';
