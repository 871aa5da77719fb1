import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { AccountRecord, AccountRecords } from './account-records';
import { runIfInstalled } from './command';
import { moveLoginKeysAway, removeKeysFile } from './login-keys';
import { findOwnAccount, type PasswdEntry } from './passwd';
import { killProcessesOf } from './processes';

export interface EndAccountDeps {
  stateDir: string;
  records: AccountRecords;
  clock: Clock;
  logger: Logger;
}

/**
 * Ends an account on this node: removes its login keys, locks it, and kills its processes. Files stay, because the wipe removes them.
 * Repeating it is harmless. Throws when something survived; the record is then not marked.
 */
export async function endAccount(record: AccountRecord, { stateDir, records, clock, logger }: EndAccountDeps): Promise<void> {
  const { username, uid } = record;
  const account = await findOwnAccount(record);
  // Block new logins first, so that no killed process can come back.
  await removeKeysFile(stateDir, username);
  const keys = account ? await shutOut(account) : [];
  const killed = await killProcessesOf({ uid, gid: account?.gid ?? uid }, clock);
  if (account) {
    await records.update(username, { ended: true });
  } else {
    await records.remove(username);
  }
  logger.warn('lease over and control plane out of reach: account ended by this node', {
    username,
    uid,
    killed,
    keys,
    existed: account !== undefined,
  });
}

async function shutOut(account: PasswdEntry): Promise<string[]> {
  const locked =
    (await runIfInstalled('usermod', ['-L', '-e', '1', account.name])) || (await runIfInstalled('passwd', ['-l', account.name]));
  if (!locked) {
    throw new Error('neither usermod nor passwd is installed');
  }
  return moveLoginKeysAway(account.home);
}
