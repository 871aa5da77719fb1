import { randomName } from '../lib/ids';
import { mkdir, open, readFile, readlink, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** The user's own ~/.ssh/config. Orion puts text at its start and removes it again, and changes nothing else in it. */
export interface UserSshConfig {
  file: string;
  /**
   * Puts the text at the start of the file, where OpenSSH reads it first. Moves text that is further down. Resolves true if the file
   * changed.
   */
  add(text: string): Promise<boolean>;
  /** Removes the text. Resolves true if the file contained it. */
  remove(text: string): Promise<boolean>;
}

export function createUserSshConfig(home: string): UserSshConfig {
  const file = join(home, '.ssh', 'config');
  return {
    file,
    add: async (text) => {
      const { target, content, mode } = await load(file);
      const at = content.indexOf(text);
      if (at === 0) {
        return false;
      }
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await replace(target, Buffer.concat([Buffer.from(text), at === -1 ? content : without(content, text)]), mode);
      return true;
    },
    remove: async (text) => {
      const { target, content, mode } = await load(file);
      const at = content.indexOf(text);
      if (at !== -1) {
        await replace(target, without(content, text), mode);
      }
      return at !== -1;
    },
  };
}

function without(content: Buffer, text: string): Buffer {
  const at = content.indexOf(text);
  return Buffer.concat([content.subarray(0, at), content.subarray(at + Buffer.byteLength(text))]);
}

interface Loaded {
  /** The file that ~/.ssh/config leads to if it is a symbolic link. */
  target: string;
  /** A Buffer, because the file may not be UTF-8. */
  content: Buffer;
  mode: number;
}

async function load(file: string): Promise<Loaded> {
  const target = await follow(file);
  try {
    const { mode } = await stat(target);
    return { target, content: await readFile(target), mode: mode & 0o777 };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return { target, content: Buffer.alloc(0), mode: 0o600 };
    }
    throw error;
  }
}

const MAX_LINKS = 40;

/** Resolves symbolic links. The last target need not exist. */
async function follow(file: string): Promise<string> {
  let target = file;
  for (let links = 0; links < MAX_LINKS; links += 1) {
    const next = await readlink(target).catch(() => undefined);
    if (next === undefined) {
      return target;
    }
    target = resolve(dirname(target), next);
  }
  throw new Error(`${file}: too many symbolic links`);
}

async function replace(target: string, content: Buffer, mode: number): Promise<void> {
  const draft = `${target}.${randomName(8)}.new`;
  try {
    const handle = await open(draft, 'wx', mode);
    try {
      await handle.writeFile(content);
      // The umask may have removed bits of the mode.
      await handle.chmod(mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}
