import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { programDir } from './paths';

const PARTS = ['main.js', 'orion-agent.js'];

/**
 * Checks that the program was built. If not, writes what to do and returns false: otherwise every test that starts the program would fail
 * as if the product were broken.
 */
export function isBuilt(say: (line: string) => void): boolean {
  const missing = PARTS.find((part) => !existsSync(join(programDir, 'dist', part)));
  if (missing !== undefined) {
    say(`there is no dist/${missing}: run \`npm run build\` first`);
  }
  return missing === undefined;
}
