import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { StoredFiles } from './evidence';

const FOLDER = /^lease-(\d+)$/;

/** What lies in the folder of checkpoints, by lease. */
export function readStore(dir: string): StoredFiles[] {
  return readdirSync(dir).flatMap((name) => {
    const id = FOLDER.exec(name)?.[1];
    return id === undefined ? [] : [{ leaseId: Number(id), files: filesIn(join(dir, name)) }];
  });
}

/** It may go while one looks. */
function filesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
