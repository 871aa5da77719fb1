import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export interface WriteOptions {
  mode: number;
  owner?: { uid: number; gid: number };
  /** Called last, just before the rename. If it returns false, the file stays as it was. */
  stillWanted?: () => Promise<boolean>;
}

/**
 * Replaces a file atomically: after a crash it contains either the old or the new content, complete. Only root may be able to write to the
 * folder.
 */
export async function writeFileAtomic(path: string, content: string, options: WriteOptions): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', options.mode);
    try {
      await file.writeFile(content);
      await file.chmod(options.mode);
      if (options.owner) {
        await file.chown(options.owner.uid, options.owner.gid);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    if (options.stillWanted && !(await options.stillWanted())) {
      await rm(temporary, { force: true });
      return;
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Reads a file. Returns undefined when there is none; throws for any other error. */
export async function readTextIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) {
      return undefined;
    }
    throw error;
  }
}

/** Whether a thrown value is a system error with this code (`ENOENT`, …). */
export function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
