import { join } from 'node:path';

/** Absolute path of the project. */
export const projectDir = join(import.meta.dirname, '..', '..');
/** Folder of the built program under test: this project, or a changed copy of it. */
export const programDir = process.env['ORION_LAB_PROGRAM_DIR'] ?? projectDir;
export const launchScript = join(programDir, 'scripts', 'launch-workers.sh');
export const reapScript = join(projectDir, 'scripts', 'lib', 'reap.sh');
