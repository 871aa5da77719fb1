import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode, readTextIfPresent, writeFileAtomic } from './files';
import { isOrionAccount } from './passwd';

/** The record that provisioning wrote on this node about an account that it made. */
export interface AccountRecord {
  username: string;
  uid: number;
  /** Unix seconds by this node's clock. */
  endsAtSeconds: number;
  /** The agent suspended the account: nobody can log in to it, and its processes are stopped. */
  held: boolean;
  /** The agent ended the account by itself (self-fencing). */
  ended: boolean;
}

/** The folder of records. Provisioning writes and removes records; the agent updates them, and removes a record whose account is gone. */
export interface AccountRecords {
  /** Lists the readable records. `faulty` names the files that are no valid record. */
  list(): Promise<{ records: AccountRecord[]; faulty: string[] }>;
  /** Changes fields of an existing record. Does nothing when the record is gone: a removed record never comes back. */
  update(username: string, change: { ends_at?: number; held?: boolean; ended?: boolean }): Promise<void>;
  /** Removes a record. A record that is already gone counts as success. */
  remove(username: string): Promise<void>;
}

/** The agent never ends an account with a lower uid: those belong to the machine itself. */
const FIRST_UID = 1000;
/** (uid_t) -1 */
const NO_UID = 2 ** 32 - 1;

export function createAccountRecords(stateDir: string): AccountRecords {
  const folder = join(stateDir, 'accounts');
  const fileOf = (username: string): string => join(folder, `${username}.json`);
  let queue: Promise<void> = Promise.resolve();

  const update = async (username: string, change: object): Promise<void> => {
    const file = fileOf(username);
    const before = await readTextIfPresent(file);
    if (before === undefined) {
      return;
    }
    const seen = await stat(file);
    const content = `${JSON.stringify({ ...(JSON.parse(before) as object), ...change })}\n`;
    await writeFileAtomic(file, content, { mode: seen.mode & 0o777, stillWanted: () => isUntouched(file, seen) });
  };

  return {
    list: async () => {
      const names = (await readFolder(folder)).filter((name) => name.endsWith('.json') && !name.startsWith('.'));
      const read = await Promise.all(names.map(async (name) => ({ name, record: await readRecord(join(folder, name), name) })));
      return {
        records: read.flatMap(({ record }) => (record ? [record] : [])),
        faulty: read.filter(({ record }) => record === null).map(({ name }) => name),
      };
    },
    update: (username, change) => {
      const turn = queue.then(() => update(username, change));
      queue = turn.catch(() => undefined);
      return turn;
    },
    remove: (username) => rm(fileOf(username), { force: true }),
  };
}

/** Parses the text of a record file. Returns null when the text is no valid record; the agent does not act on such a file. */
export function parseRecord(text: string, fileName: string): AccountRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const { username, uid, ends_at: endsAt, held, ended } = (value ?? {}) as Record<string, unknown>;
  const named = typeof username === 'string' && isOrionAccount(username) && fileName === `${username}.json`;
  if (!named || !isPlacementUid(uid) || !Number.isFinite(endsAt)) {
    return null;
  }
  return { username, uid, endsAtSeconds: Number(endsAt), held: held === true, ended: ended === true };
}

function isPlacementUid(uid: unknown): uid is number {
  return typeof uid === 'number' && Number.isInteger(uid) && uid >= FIRST_UID && uid < NO_UID;
}

/** Returns undefined when the file is gone, and null when it cannot be read or is no valid record. */
async function readRecord(path: string, name: string): Promise<AccountRecord | null | undefined> {
  try {
    const text = await readTextIfPresent(path);
    return text === undefined ? undefined : parseRecord(text, name);
  } catch {
    return null;
  }
}

async function readFolder(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) {
      return [];
    }
    throw error;
  }
}

async function isUntouched(file: string, seen: { ino: number; mtimeMs: number }): Promise<boolean> {
  try {
    const { ino, mtimeMs } = await stat(file);
    return ino === seen.ino && mtimeMs === seen.mtimeMs;
  } catch {
    return false;
  }
}
