import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AccountRecord } from './account-records';
import { readTextIfPresent, writeFileAtomic } from './files';

/** A moment on a clock that counts on while the agent is down and while the machine sleeps. Setting the wall clock does not change it. */
export interface BootMoment {
  /** Identifies one boot of the kernel. Uptimes of different boots cannot be compared. */
  bootId: string;
  uptimeSeconds: number;
}

/** An account, and how long no heartbeat answer has renewed it. */
export interface ConfirmedAccount extends AccountRecord {
  /** Seconds since an accepted heartbeat last listed the account as current here. Infinity when none did since the machine started. */
  unconfirmedSeconds: number;
  /** Whether the answer to this agent's last accepted heartbeat listed the account. */
  listed: boolean;
}

/** The record of this node's heartbeats. It is on disk, so an agent that crashes repeatedly does not start counting again. */
export interface Contact {
  /** Lease timeout: how long an account may be without renewal, in seconds. 0: no limit. */
  limitSeconds(): number;
  /** Records that the control plane accepted a heartbeat and listed these accounts as current here. */
  note(answer: { limitSeconds: number; usernames: string[] }): Promise<void>;
  /**
   * Computes for each record how long its account has been without renewal. An account that no answer ever listed counts from the call that
   * first saw it. In the first call after a start, such an account counts from the last accepted heartbeat.
   */
  judge(records: AccountRecord[]): ConfirmedAccount[];
}

interface Notes {
  /** Uptimes, in seconds. */
  lastAt: number;
  confirmedAt: Record<string, number>;
}

export const systemBoot = (): BootMoment => ({
  bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
  uptimeSeconds: Number.parseFloat(readFileSync('/proc/uptime', 'utf8')),
});

const NEVER = -Infinity;

/** Opens the record in `stateDir`/agent. The credential is in the same folder, so `leave` removes both. */
export async function openContact(stateDir: string, boot: () => BootMoment = systemBoot): Promise<Contact> {
  const folder = join(stateDir, 'agent');
  const limitFile = join(folder, 'contact-limit');
  const notesFile = join(folder, 'contact.json');
  let limitSeconds = Number(await readTextIfPresent(limitFile)) || 0;
  let listed = new Set<string>();
  let looked = false;
  let { lastAt, confirmedAt } = parseNotes((await readTextIfPresent(notesFile)) ?? '', boot());

  return {
    limitSeconds: () => limitSeconds,
    note: async (answer) => {
      const { bootId, uptimeSeconds } = boot();
      const changed = answer.limitSeconds !== limitSeconds;
      limitSeconds = answer.limitSeconds;
      lastAt = uptimeSeconds;
      listed = new Set(answer.usernames);
      confirmedAt = { ...confirmedAt, ...Object.fromEntries(answer.usernames.map((username) => [username, lastAt])) };
      if (changed) {
        await writeFileAtomic(limitFile, `${limitSeconds}\n`, { mode: 0o600 });
      }
      // This write is neither atomic nor synced to disk. Notes that cannot be read count as "never renewed", which suspends accounts too
      // early rather than too late.
      await writeFile(notesFile, JSON.stringify({ bootId, lastAt, confirmedAt }), { mode: 0o600 });
    },
    judge: (records) => {
      const { uptimeSeconds } = boot();
      // Only the control plane creates accounts, so the creation itself was a contact.
      const since = looked ? uptimeSeconds : lastAt;
      looked = true;
      confirmedAt = Object.fromEntries(records.map(({ username }) => [username, confirmedAt[username] ?? since]));
      return records.map((record) => ({
        ...record,
        unconfirmedSeconds: uptimeSeconds - (confirmedAt[record.username] ?? since),
        listed: listed.has(record.username),
      }));
    },
  };
}

function parseNotes(text: string, now: BootMoment): Notes {
  try {
    const { bootId, lastAt, confirmedAt } = JSON.parse(text) as Notes & { bootId: string };
    if (bootId === now.bootId && lastAt <= now.uptimeSeconds) {
      return { lastAt, confirmedAt: { ...confirmedAt } };
    }
  } catch {
    // The file is truncated, or does not exist yet.
  }
  return { lastAt: NEVER, confirmedAt: {} };
}
