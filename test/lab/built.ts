import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { programDir } from './paths';

const PARTS = ['main.js', 'orion-agent.js'];

/** Says what to do and returns false when the program was not built: everything that starts it would fail one by one, as if the product were broken. */
export function isBuilt(say: (line: string) => void): boolean {
  const missing = PARTS.find((part) => !existsSync(join(programDir, 'dist', part)));
  if (missing !== undefined) {
    say(`there is no dist/${missing}: run \`npm run build\` first`);
  }
  return missing === undefined;
}
