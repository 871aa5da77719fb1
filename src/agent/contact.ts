import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AccountRecord } from './account-records';
import { readTextIfPresent, writeFileAtomic } from './files';

/** Time that goes on while the agent is down and while the machine sleeps, and that no setting of a clock moves. */
export interface BootMoment {
  /** Names one run of the kernel; uptimes of two of them do not compare. */
  bootId: string;
  uptimeSeconds: number;
}

/** An account and how long the control plane has not confirmed it. */
export interface ConfirmedAccount extends AccountRecord {
  /** Since an accepted call last listed it as current here; Infinity when none did since the machine started. */
  unconfirmedSeconds: number;
  /** The last call that this agent made and that was accepted listed it. */
  listed: boolean;
}

/** What this node remembers of its calls home. It outlives the agent, so that one that crashes again and again does not count anew. */
export interface Contact {
  /** How long an account may be unconfirmed; 0: for ever. */
  limitSeconds(): number;
  /** The control plane accepted a call and listed these accounts as current here. */
  note(answer: { limitSeconds: number; usernames: string[] }): Promise<void>;
  /** One that was never listed counts from when it first was there: for one found by the first look, from the last call before. */
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

/** Keeps its notes beside the credential, in `stateDir`/agent, and goes with it. */
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
      // Neither whole nor durable at any price: notes that cannot be read mean "never", which holds accounts too early rather than too late.
      await writeFile(notesFile, JSON.stringify({ bootId, lastAt, confirmedAt }), { mode: 0o600 });
    },
    judge: (records) => {
      const { uptimeSeconds } = boot();
      // Whoever put it there is the control plane, which was in contact by that.
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
    // Cut short, or none yet.
  }
  return { lastAt: NEVER, confirmedAt: {} };
}
