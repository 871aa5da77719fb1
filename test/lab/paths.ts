import { join } from 'node:path';

/** Absolute path of the project. */
export const projectDir = join(import.meta.dirname, '..', '..');
export const launchScript = join(projectDir, 'scripts', 'launch-workers.sh');
export const reapScript = join(projectDir, 'scripts', 'lib', 'reap.sh');
