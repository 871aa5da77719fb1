import { open, readFile, rm, stat } from 'node:fs/promises';
import { messageOf } from '../lib/errors';
import type { Clock } from '../lib/clock';
import { hasCode, writeFileAtomic } from './files';

const LOCK_ATTEMPTS = 100;
const LOCK_PAUSE_MS = 100;

/**
 * Changes one account where the shadow tools are missing (BusyBox). Takes the same lock files as the shadow tools, and replaces each file
 * atomically.
 */
export interface PasswdEditor {
  /** Adds or replaces the entry; removes it when `lines` is undefined. */
  setEntry(name: string, lines: { passwd: string; shadow: string } | undefined): Promise<void>;
  /** Sets the day, counted from 1970, on which the account expires. Does nothing when there is no such account. */
  setExpiry(name: string, day: string): Promise<void>;
}

const EXPIRY = 7;

export function createPasswdEditor(clock: Clock, etcDir = '/etc'): PasswdEditor {
  const edit = async (file: string, change: (content: string) => string): Promise<void> => {
    const path = `${etcDir}/${file}`;
    const release = await lock(`${path}.lock`, clock);
    try {
      const { mode, uid, gid } = await stat(path);
      const content = change(await readFile(path, 'utf8'));
      await writeFileAtomic(path, content, { mode: mode & 0o777, owner: { uid, gid } });
    } finally {
      await release();
    }
  };
  return {
    setEntry: async (name, lines) => {
      // A shadow entry without a passwd entry is harmless; the reverse is a half-made account. So add to shadow first, and remove from
      // shadow last.
      const shadow = (): Promise<void> => edit('shadow', (content) => withEntry(content, name, lines?.shadow));
      const passwd = (): Promise<void> => edit('passwd', (content) => withEntry(content, name, lines?.passwd));
      for (const step of lines ? [shadow, passwd] : [passwd, shadow]) {
        await step();
      }
    },
    setExpiry: (name, day) => edit('shadow', (content) => withExpiry(content, name, day)),
  };
}

/** Returns a passwd or shadow file with the entry of `name` replaced by `line`, or removed. */
export function withEntry(content: string, name: string, line: string | undefined): string {
  const others = content.split('\n').filter((existing) => existing !== '' && !existing.startsWith(`${name}:`));
  return `${[...others, ...(line === undefined ? [] : [line])].join('\n')}\n`;
}

/** Returns a shadow file in which the account `name` expires on `day`. */
export function withExpiry(content: string, name: string, day: string): string {
  return content
    .split('\n')
    .map((line) => (line.startsWith(`${name}:`) ? line.split(':').with(EXPIRY, day).join(':') : line))
    .join('\n');
}

/** Returns the day on which the account `name` of a shadow file expires. Empty: never. Undefined: there is no such account. */
export function expiryOf(content: string, name: string): string | undefined {
  return content
    .split('\n')
    .find((line) => line.startsWith(`${name}:`))
    ?.split(':')[EXPIRY];
}

async function lock(path: string, clock: Clock): Promise<() => Promise<void>> {
  for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt += 1) {
    try {
      const file = await open(path, 'wx', 0o600);
      await file.writeFile(String(process.pid));
      await file.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) {
        throw new Error(`cannot lock ${path}: ${messageOf(error)}`, { cause: error });
      }
    }
    await clock.sleep(LOCK_PAUSE_MS);
  }
  throw new Error(`${path} is held by another program: remove it if none runs`);
}
