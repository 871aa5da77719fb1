import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { readTextIfPresent, writeFileAtomic } from './files';

/** The node's credential on disk. Any program that has the credential can act as the node. */
export interface CredentialStore {
  find(): Promise<string | undefined>;
  /**
   * Stores a new credential. If the disk cannot take it, the credential stays in memory, and each `find` tries to write it again. It must
   * not be lost, because the join token may be used up. Until it is written, another process finds none, and an agent that ends needs a new
   * join token.
   */
  save(credential: string): Promise<void>;
  /** Removes the credential and everything else that the agent stores for itself. A running agent ends when it notices this. */
  clear(): Promise<void>;
}

/** Stores the credential in `stateDir`/agent, readable by root alone. */
export function createCredentialStore(stateDir: string, logger: Logger): CredentialStore {
  const folder = join(stateDir, 'agent');
  const file = join(folder, 'credential');
  let unsaved: string | undefined;
  const write = async (credential: string): Promise<void> => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFileAtomic(file, `${credential}\n`, { mode: 0o600 });
  };
  const save = async (credential: string): Promise<void> => {
    const isNew = unsaved !== credential;
    unsaved = credential;
    try {
      await write(credential);
      unsaved = undefined;
    } catch (error) {
      logger[isNew ? 'error' : 'debug']('the credential could not be written, will be tried again: make room for the state directory', {
        file,
        reason: messageOf(error),
      });
    }
  };
  return {
    find: async () => {
      if (unsaved !== undefined) {
        await save(unsaved);
      }
      return unsaved ?? ((await readTextIfPresent(file))?.trim() || undefined);
    },
    save,
    clear: () => {
      unsaved = undefined;
      return rm(folder, { recursive: true, force: true });
    },
  };
}
