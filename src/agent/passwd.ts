import { readFile } from 'node:fs/promises';

export interface PasswdEntry {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

/** Parses a passwd file; skips lines that are no valid entry. */
export function parsePasswd(text: string): PasswdEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid, , home] = line.split(':');
    const usable = name && home !== undefined && /^\d+$/.test(uid ?? '') && /^\d+$/.test(gid ?? '');
    return usable ? [{ name, uid: Number(uid), gid: Number(gid), home }] : [];
  });
}

/** The local accounts of this machine. */
export async function listAccounts(file = '/etc/passwd'): Promise<PasswdEntry[]> {
  return parsePasswd(await readFile(file, 'utf8'));
}

/** Whether a name is one that Orion generates for a placement. */
export function isOrionAccount(name: string): boolean {
  return /^orn-[a-z0-9_-]{1,28}$/.test(name);
}

/**
 * Finds the account of that name; undefined when there is none. Throws when the name has another uid, or the uid another name. The uid may
 * then belong to somebody else, and nothing may be done to it.
 */
export async function findOwnAccount({ username, uid }: { username: string; uid: number }): Promise<PasswdEntry | undefined> {
  const accounts = await listAccounts();
  const account = accounts.find((entry) => entry.name === username);
  const stranger = accounts.find((entry) => entry.uid === uid && entry.name !== username);
  if (stranger || (account && account.uid !== uid)) {
    throw new Error(`the record of ${username} says uid ${uid}, the machine's accounts say otherwise`);
  }
  return account;
}
