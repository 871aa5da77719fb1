import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runOrThrow } from '../../lab';

export interface StoreOfHomes {
  /** Where the archives lie, a folder a lease. */
  folder: string;
  /** What makes schedulers save homes there. */
  env: Record<string, string>;
  remove(): void;
}

/** A store of checkpoints with a key of its own. */
export async function createStoreOfHomes(intervalSeconds: number): Promise<StoreOfHomes> {
  const dir = mkdtempSync(join(tmpdir(), 'orion-checkpoints-'));
  const [folder, key] = [join(dir, 'store'), join(dir, 'key')];
  mkdirSync(folder);
  await runOrThrow('age-keygen', ['-o', key]);
  return {
    folder,
    env: { ORION_CHECKPOINT_DIR: folder, ORION_CHECKPOINT_KEY_FILE: key, ORION_CHECKPOINT_INTERVAL_SECONDS: String(intervalSeconds) },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
