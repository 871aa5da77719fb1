import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectDir, runOrThrow } from '../lab';
import type { Edit } from './mutation';

/** What the program is built from and what it runs with. */
const PARTS = ['Caddyfile', 'src', 'migrations', 'playbooks', 'installer', 'scripts', 'bin', 'package.json', 'tsconfig.json'];

/** Copies the project as it stands, so that what is changed there meanwhile does not matter. */
export function copyProject(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  PARTS.forEach((part) => cpSync(join(from, part), join(to, part), { recursive: true }));
  symlinkSync(join(projectDir, 'node_modules'), join(to, 'node_modules'));
}

/** Throws unless the text to change is there exactly once: a mutation that cannot be made proves nothing. */
export function change(text: string, { file, find, replace }: Edit): string {
  const parts = text.split(find);
  if (parts.length !== 2) {
    throw new Error(`${file} holds ${parts.length - 1} times instead of once: ${find}`);
  }
  return parts.join(replace);
}

export function applyEdits(dir: string, edits: Edit[]): void {
  for (const edit of edits) {
    const file = join(dir, edit.file);
    writeFileSync(file, change(readFileSync(file, 'utf8'), edit));
  }
}

export async function build(dir: string): Promise<void> {
  await runOrThrow(process.execPath, [join('scripts', 'build.mjs')], { cwd: dir, env: process.env, timeoutMs: 180_000 });
}
