import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../lib/clock';
import { readTextIfPresent } from './files';

/** When sshd stops accepting the keys of an account, by this machine's clock. */
interface KeyExpiry {
  username: string;
  /** Seconds until the end of the lease that provisioning wrote, without its grace. */
  ends_in_seconds: number;
}

/**
 * Finds accounts whose keys expire at another time than their lease ends. This happens when somebody sets this machine's clock after the
 * keys were written.
 */
export interface KeyExpiries {
  /** Records the remaining times of an accepted heartbeat. */
  note(accounts: { username: string; remainingSeconds: number }[]): void;
  /**
   * Returns the accounts whose expiry was wrong in the same way in the last call too. A single difference may be an extension that
   * provisioning is still writing.
   */
  listAstray(usernames: string[]): Promise<KeyExpiry[]>;
}

/** Provisioning lets keys expire this much after the lease (playbooks/node/orion_account.py). */
const GRACE_SECONDS = 60;
const TOLERANCE_SECONDS = 10;
const EXPIRY = /\bexpiry-time="(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(Z?)"/;

/** Parses the end of the lease, in Unix seconds, from root's file with an account's keys. Returns undefined when no key expires. */
export function endInKeys(text: string): number | undefined {
  const found = EXPIRY.exec(text);
  if (!found) {
    return undefined;
  }
  const [year, month, ...rest] = found.slice(1, 7).map(Number) as [number, number, number, number, number, number];
  const ms = found[7] === 'Z' ? Date.UTC(year, month - 1, ...rest) : new Date(year, month - 1, ...rest).getTime();
  return ms / 1000 - GRACE_SECONDS;
}

export function createKeyExpiries(stateDir: string, clock: Pick<Clock, 'now' | 'monotonicMs'>): KeyExpiries {
  let endsAtMs = new Map<string, number>();
  let before = new Map<string, string>();
  const look = async (username: string): Promise<{ expiry: KeyExpiry; identity: string } | undefined> => {
    const end = endsAtMs.get(username);
    const found = end === undefined ? undefined : await readKeys(join(stateDir, 'keys', username));
    if (end === undefined || !found) {
      return undefined;
    }
    const endsInSeconds = Math.round(found.end - clock.now().getTime() / 1000);
    const isAstray = Math.abs(endsInSeconds - (end - clock.monotonicMs()) / 1000) > TOLERANCE_SECONDS;
    return isAstray ? { expiry: { username, ends_in_seconds: endsInSeconds }, identity: found.identity } : undefined;
  };
  return {
    note: (accounts) => {
      endsAtMs = new Map(accounts.map(({ username, remainingSeconds }) => [username, clock.monotonicMs() + remainingSeconds * 1000]));
    },
    listAstray: async (usernames) => {
      const astray = (await Promise.all(usernames.map(look))).filter((each) => each !== undefined);
      const again = astray.filter(({ expiry: { username }, identity }) => before.get(username) === identity);
      before = new Map(astray.map(({ expiry: { username }, identity }) => [username, identity]));
      return again.map(({ expiry }) => expiry);
    },
  };
}

async function readKeys(path: string): Promise<{ identity: string; end: number } | undefined> {
  try {
    const end = endInKeys((await readTextIfPresent(path)) ?? '');
    const { ino, mtimeMs } = await stat(path);
    return end === undefined ? undefined : { identity: `${ino} ${mtimeMs}`, end };
  } catch {
    return undefined;
  }
}
