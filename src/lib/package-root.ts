import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Returns the folder with package.json, migrations/ and playbooks/, wherever the code was bundled to. */
export function packageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json')) && existsSync(join(folder, 'migrations'))) {
      return folder;
    }
    if (folder === dirname(folder)) {
      throw new Error('the folder of the installation was not found: package.json and migrations/ must lie above the program');
    }
  }
}
