import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectDir } from './paths';
import { runOrThrow } from './run';

/** Copies a freshly initialised data directory to `target`. Initialising takes seconds, so the first result is cached for later runs. */
export async function copyDataDir(target: string): Promise<void> {
  await runOrThrow('cp', ['-a', '--reflink=auto', await initialisedDataDir(), target]);
}

async function initialisedDataDir(): Promise<string> {
  const version = /Ver (\S+)/.exec(await runOrThrow('mariadbd', ['--no-defaults', '--version']))?.[1] ?? 'unknown';
  const cache = join(projectDir, 'node_modules', '.cache', 'orion-lab');
  const kept = join(cache, `mariadb-${version}`);
  if (existsSync(kept)) {
    return kept;
  }
  mkdirSync(cache, { recursive: true });
  // mariadb-install-db cannot cope with a space in a path, which the project's may have.
  const made = mkdtempSync(join(/\s/.test(tmpdir()) ? '/tmp' : tmpdir(), 'orion-lab-db-'));
  const fresh = mkdtempSync(join(cache, 'new-'));
  await runOrThrow('mariadb-install-db', [
    '--no-defaults',
    `--datadir=${made}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    '--skip-name-resolve',
    '--user=root',
    '--innodb-log-file-size=32M',
    '--innodb-flush-method=nosync',
  ]);
  await runOrThrow('cp', ['-a', `${made}/.`, fresh]);
  rmSync(made, { recursive: true, force: true });
  try {
    renameSync(fresh, kept);
  } catch {
    // Another run was faster; its copy is equivalent.
    rmSync(fresh, { recursive: true, force: true });
  }
  return kept;
}
