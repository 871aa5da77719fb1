import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

export interface Removed {
  files: number;
  bytes: number;
}

/** Stores archives by lease and name. They are already encrypted. */
export interface CheckpointStore {
  /** Stores the bytes of `source`, durably and completely. When `source` throws, nothing is stored under that name. */
  write(leaseId: number, name: string, source: AsyncIterable<Uint8Array>): Promise<void>;
  read(leaseId: number, name: string): Readable;
  /** Lists the names of a lease's archives, including half-written ones. Returns none when the lease is unknown. */
  list(leaseId: number): Promise<string[]>;
  /** Removes these archives. An archive that is already gone counts as success. */
  remove(leaseId: number, names: string[]): Promise<void>;
  /** Removes everything of the lease, then returns how much that was. */
  removeLease(leaseId: number): Promise<Removed>;
  /** Lists the leases of which anything is stored. */
  listLeases(): Promise<number[]>;
}

const SUFFIX = '.tar.age';
const UNFINISHED = '.new';
const FOLDER = /^lease-([1-9]\d*)$/;

/** Creates a store in a folder that all schedulers share, with one folder for each lease. */
export function createDirectoryStore(root: string): CheckpointStore {
  const folderOf = (leaseId: number): string => join(root, `lease-${leaseId}`);
  const fileOf = (leaseId: number, name: string): string => join(folderOf(leaseId), `${name}${SUFFIX}`);
  const entries = (leaseId: number): Promise<string[]> => ifThere(readdir(folderOf(leaseId)), []);
  return {
    write: async (leaseId, name, source) => {
      const folder = folderOf(leaseId);
      // Create this folder only, not the ones above it: where a network mount is missing, nothing may be written.
      await mkdir(folder, { mode: 0o700 }).then(() => syncFolder(root), passOver('EEXIST'));
      const file = fileOf(leaseId, name);
      await writeDurably(`${file}${UNFINISHED}`, source);
      await rename(`${file}${UNFINISHED}`, file);
      await syncFolder(folder);
    },
    read: (leaseId, name) => createReadStream(fileOf(leaseId, name)),
    list: async (leaseId) => [...new Set((await entries(leaseId)).map((file) => file.split('.')[0] ?? ''))],
    remove: async (leaseId, names) => {
      for (const file of names.map((name) => fileOf(leaseId, name))) {
        await rm(file, { force: true });
        await rm(`${file}${UNFINISHED}`, { force: true });
      }
      await rmdir(folderOf(leaseId)).catch(() => undefined);
    },
    removeLease: async (leaseId) => {
      const folder = folderOf(leaseId);
      const files = await entries(leaseId);
      const sizes = await Promise.all(
        files.map((file) =>
          ifThere(
            stat(join(folder, file)).then(({ size }) => size),
            0,
          ),
        ),
      );
      await rm(folder, { recursive: true, force: true });
      await syncFolder(root);
      return { files: files.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
    },
    listLeases: async () => (await readdir(root)).map((name) => Number(FOLDER.exec(name)?.[1])).filter((id) => id > 0),
  };
}

async function writeDurably(path: string, source: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await writeFile(file, source);
    await file.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** Makes a folder durable. After a power cut, a durable file in a folder that is not durable may be gone. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function ifThere<T>(asked: Promise<T>, otherwise: T): Promise<T> {
  return (await asked.catch(passOver('ENOENT'))) ?? otherwise;
}

const passOver =
  (code: string) =>
  (error: unknown): undefined => {
    if ((error as NodeJS.ErrnoException).code !== code) {
      throw error;
    }
  };
