import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from './files';

const KEY_FILES = ['authorized_keys', 'authorized_keys2'];
const ABSENT = ['ENOENT', 'ENOTDIR', 'ELOOP'];

/**
 * Removes root's file with the keys of an account, which provisioning wrote (playbooks/node/orion_keys.py). A file that is already gone
 * counts as success.
 */
export const removeKeysFile = (stateDir: string, username: string): Promise<void> => rm(join(stateDir, 'keys', username), { force: true });

/**
 * Renames the key files in `home`/.ssh, so that sshd does not find them. Control planes of older releases put keys there. The tenant can
 * put a symbolic link anywhere in the home at any time. Each folder is therefore opened without following links, and the next step starts
 * from the open folder. Links themselves are left alone: sshd's check of ownership rejects their targets, and the account is locked as
 * well.
 */
export async function moveLoginKeysAway(home: string): Promise<string[]> {
  const homeFolder = await openFolder(home);
  try {
    const sshFolder = homeFolder && (await openFolder(`${pathOf(homeFolder)}/.ssh`));
    try {
      return sshFolder ? await moveAll(pathOf(sshFolder)) : [];
    } finally {
      await sshFolder?.close();
    }
  } finally {
    await homeFolder?.close();
  }
}

const pathOf = (folder: FileHandle): string => `/proc/self/fd/${folder.fd}`;

async function openFolder(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (ABSENT.some((code) => hasCode(error, code))) {
      return undefined;
    }
    throw error;
  }
}

async function moveAll(folder: string): Promise<string[]> {
  const moved: string[] = [];
  for (const name of KEY_FILES) {
    try {
      await rename(`${folder}/${name}`, `${folder}/${name}.ended-${randomBytes(6).toString('hex')}`);
      moved.push(name);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) {
        throw error;
      }
    }
  }
  return moved;
}
