import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

export interface Removed {
  files: number;
  bytes: number;
}

/** Where archives lie, by lease and name. What it is given is encrypted already. */
export interface CheckpointStore {
  /** Stores what `source` gives, durably and whole; when `source` throws, nothing is stored under that name. */
  write(leaseId: number, name: string, source: AsyncIterable<Uint8Array>): Promise<void>;
  read(leaseId: number, name: string): Readable;
  /** Names of the lease's, those of half-written ones too; none when nothing is known of it. */
  list(leaseId: number): Promise<string[]>;
  /** Already gone is fine. */
  remove(leaseId: number, names: string[]): Promise<void>;
  /** Removes whatever there is of the lease, and says what it was once it is gone. */
  removeLease(leaseId: number): Promise<Removed>;
  /** Leases of which anything is stored. */
  listLeases(): Promise<number[]>;
}

const SUFFIX = '.tar.age';
const UNFINISHED = '.new';
const FOLDER = /^lease-([1-9]\d*)$/;

/** A folder that all schedulers share, with one folder a lease. */
export function createDirectoryStore(root: string): CheckpointStore {
  const folderOf = (leaseId: number): string => join(root, `lease-${leaseId}`);
  const fileOf = (leaseId: number, name: string): string => join(folderOf(leaseId), `${name}${SUFFIX}`);
  const entries = (leaseId: number): Promise<string[]> => ifThere(readdir(folderOf(leaseId)), []);
  return {
    write: async (leaseId, name, source) => {
      const folder = folderOf(leaseId);
      // Not the folders above: where a network mount is missing nothing is to be written.
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
      const sizes = await Promise.all(files.map((file) => ifThere(stat(join(folder, file)).then(({ size }) => size), 0)));
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

/** A file that is durable in a folder that is not may be gone after a power cut. */
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

const passOver = (code: string) => (error: unknown): undefined => {
  if ((error as NodeJS.ErrnoException).code !== code) {
    throw error;
  }
};
