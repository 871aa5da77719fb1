import { join } from 'node:path';

/** Absolute path of the project. */
export const projectDir = join(import.meta.dirname, '..', '..');
/** Where the program under test is built: this project, unless a changed copy of it is to be tried. */
export const programDir = process.env['ORION_LAB_PROGRAM_DIR'] ?? projectDir;
export const launchScript = join(programDir, 'scripts', 'launch-workers.sh');
export const reapScript = join(projectDir, 'scripts', 'lib', 'reap.sh');
