import { chmod, chown, lstat, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runIfInstalled } from './command';
import { readTextIfPresent, writeFileAtomic } from './files';
import { listAccounts, type PasswdEntry } from './passwd';
import type { PasswdEditor } from './passwd-editor';
import { normalisePublicKey } from './public-key';
import type { Management } from './wire';

/** The only accepted name of a management account. An answer with another name could point at one of the machine's own accounts. */
export const MANAGEMENT_USERNAME = 'orion-mgmt';

/** The account as which the control plane logs in to this node: a second name of root with a plain shell and no password. */
export interface ManagementAccount {
  /**
   * Makes the account exist with exactly these keys; writes only what differs. Throws, and changes nothing, when the name or a key is not
   * acceptable, or when Orion did not make the account of that name.
   */
  ensure(management: Management): Promise<void>;
  /** Removes the account and its keys. An account that is already gone counts as success. */
  remove(): Promise<void>;
}

export function createManagementAccount(stateDir: string, editor: PasswdEditor): ManagementAccount {
  const home = join(stateDir, 'mgmt');
  const find = async (): Promise<PasswdEntry | undefined> => (await listAccounts()).find((entry) => entry.name === MANAGEMENT_USERNAME);
  return {
    ensure: async ({ username, publicKeys }) => {
      if (username !== MANAGEMENT_USERNAME) {
        throw new Error(
          `the control plane asked for the management account ${JSON.stringify(username)}: only ${MANAGEMENT_USERNAME} is accepted`,
        );
      }
      const content = authorizedKeys(publicKeys);
      const existing = await find();
      if (existing && (existing.uid !== 0 || existing.home !== home)) {
        throw new Error(`the account ${MANAGEMENT_USERNAME} is not the agent's own: remove it`);
      }
      await installKeys(home, content);
      if (!existing) {
        await addAccount(home, editor);
      }
    },
    remove: async () => {
      await rm(home, { recursive: true, force: true });
      if (await find()) {
        await removeAccount(editor);
      }
    },
  };
}

/** Builds the authorized_keys file for these keys, each under `restrict`. Throws when a key is not a plain public key. */
export function authorizedKeys(publicKeys: string[]): string {
  const lines = publicKeys.map((key) => {
    const plain = normalisePublicKey(key);
    if (plain === undefined) {
      throw new Error('the control plane sent a management key that is no plain public key: none was installed');
    }
    return `restrict ${plain} orion\n`;
  });
  return lines.join('');
}

async function installKeys(home: string, content: string): Promise<void> {
  const folder = join(home, '.ssh');
  const file = join(folder, 'authorized_keys');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const path of [home, folder]) {
    await closeToOthers(path);
  }
  if ((await readTextIfPresent(file)) !== content) {
    await writeFileAtomic(file, content, { mode: 0o600, owner: { uid: 0, gid: 0 } });
  }
}

async function closeToOthers(path: string): Promise<void> {
  const { mode, uid, gid } = await lstat(path);
  if (uid !== 0 || gid !== 0) {
    await chown(path, 0, 0);
  }
  if ((mode & 0o777) !== 0o700) {
    await chmod(path, 0o700);
  }
}

async function addAccount(home: string, editor: PasswdEditor): Promise<void> {
  const comment = 'Orion management';
  const args = ['-o', '-u', '0', '-g', '0', '-M', '-N', '-d', home, '-s', '/bin/sh', '-p', '*', '-c', comment, MANAGEMENT_USERNAME];
  if (!(await runIfInstalled('useradd', args))) {
    await editor.setEntry(MANAGEMENT_USERNAME, {
      passwd: `${MANAGEMENT_USERNAME}:x:0:0:${comment}:${home}:/bin/sh`,
      shadow: `${MANAGEMENT_USERNAME}:*::0:99999:7:::`,
    });
  }
}

async function removeAccount(editor: PasswdEditor): Promise<void> {
  // Without -f, userdel refuses: it counts every process of root as a process of this account.
  if (!(await runIfInstalled('userdel', ['-f', MANAGEMENT_USERNAME]))) {
    await editor.setEntry(MANAGEMENT_USERNAME, undefined);
  }
}
