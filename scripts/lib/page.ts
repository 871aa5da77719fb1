import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/lib/package-root';

interface Page {
  /** From the project's root. */
  page: string;
  /** What writes the page. */
  command: string;
  /** Returns the new text. */
  write: (text: string) => string;
}

/** Writes a generated page. With `--check` among the arguments it changes nothing, and fails when the page is not up to date. */
export function keepPage({ page, command, write }: Page): void {
  const file = join(packageRoot(), page);
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const text = write(before);
  if (!process.argv.includes('--check')) {
    writeFileSync(file, text);
  } else if (text !== before) {
    process.stderr.write(`${page} is not up to date: run \`${command}\`\n`);
    process.exitCode = 1;
  }
}
