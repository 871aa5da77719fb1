import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/lib/package-root';

const FOLDERS = ['src', 'test', 'bench', 'scripts', 'docs', 'migrations', 'docker'];

/** What people write here, as paths from the project's root. */
export const projectFiles: string[] = [
  ...readdirSync(packageRoot()).filter((name) => /^[A-Z]+\.md$/.test(name)),
  ...FOLDERS.flatMap((folder) =>
    readdirSync(join(packageRoot(), folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
  ),
];

export const readProjectFile = (file: string): string => readFileSync(join(packageRoot(), file), 'utf8');
