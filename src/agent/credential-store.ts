import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readTextIfPresent, writeFileAtomic } from './files';

/** The node's credential on disk: whoever holds it is the node. */
export interface CredentialStore {
  find(): Promise<string | undefined>;
  save(credential: string): Promise<void>;
  /** Notes what the control plane thinks of the node, for whoever asks on the machine (`orion-agent status`). Throws where no credential was saved, or it was forgotten. */
  noteStatus(status: string): Promise<void>;
  /** Forgets the credential and all else the agent keeps for itself. A running agent takes that as its order to end. */
  clear(): Promise<void>;
}

/** Keeps it in `stateDir`/agent, readable by root alone. */
export function createCredentialStore(stateDir: string): CredentialStore {
  const folder = join(stateDir, 'agent');
  const file = join(folder, 'credential');
  return {
    find: async () => (await readTextIfPresent(file))?.trim() || undefined,
    save: async (credential) => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFileAtomic(file, `${credential}\n`, { mode: 0o600 });
    },
    noteStatus: (status) => writeFileAtomic(join(folder, 'status'), `${status}\n`, { mode: 0o600 }),
    clear: () => rm(folder, { recursive: true, force: true }),
  };
}
