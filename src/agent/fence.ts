import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { AccountRecord, AccountRecords } from './account-records';
import type { Contact } from './contact';
import { planFence, planHolds, withMonotonicEnds, type FencedAccount, type FenceMoment } from './fence-plan';

export interface FenceDeps {
  records: AccountRecords;
  contact: Contact;
  /** The actions on one account: see holdAccount, releaseAccount and endAccount. */
  acts: Record<'hold' | 'release' | 'end', (record: AccountRecord) => Promise<void>>;
  clock: Clock;
  logger: Logger;
  graceSeconds: number;
  /** Called when an account appeared since the last run. */
  onNewAccount: () => void;
}

/** The parts of an accepted heartbeat answer that matter here. */
interface ContactAnswer {
  heartbeatIntervalSeconds: number;
  contactLimitSeconds: number;
  /** The accounts that are current here, with the remaining times by the control plane's clock. */
  accounts: { username: string; remainingSeconds: number }[];
}

/** Suspends accounts whose lease may have moved, and ends accounts whose lease is over, while the control plane cannot. */
export interface Fence {
  /** Suspends, releases and ends the accounts that are due. Tries all of them, then rejects if an action failed. */
  runOnce(): Promise<void>;
  /** Records that the control plane accepted a heartbeat and so is in charge of the accounts. */
  noteContact(answer: ContactAnswer): Promise<void>;
  /** Suspends every account. Never rejects; failures are logged. */
  holdAll(): Promise<void>;
  /** Returns the names of the accounts that this node ended by itself and that still wait for their wipe. */
  listEnded(): Promise<string[]>;
}

/** Smaller differences come from network delay and are not worth a write. */
const TOLERANCE_SECONDS = 2;
const FIRST_INTERVAL_SECONDS = 30;

export function createFence({ records, contact, acts, clock, logger, graceSeconds, onNewAccount }: FenceDeps): Fence {
  let lastContactMs = clock.monotonicMs();
  let heartbeatIntervalSeconds = FIRST_INTERVAL_SECONDS;
  let known: FencedAccount[] = [];
  const listRecords = createLister(records, logger);
  /** Suspended accounts, including those whose record could not be marked. */
  const held = new Set<string>();
  const moment = (): FenceMoment => ({ nowSeconds: clock.now().getTime() / 1000, monotonicMs: clock.monotonicMs(), lastContactMs });

  const act = createAct({ acts, logger });
  const holdAndRelease = async (found: AccountRecord[], failures: unknown[]): Promise<void> => {
    const { hold, release } = planHolds(contact.judge(found), contact.limitSeconds());
    for (const account of hold) {
      held.add(account.username);
      await act('hold', account, failures);
    }
    for (const account of release) {
      await act('release', account, failures);
      held.delete(account.username);
    }
  };
  const endDue = async (found: AccountRecord[], failures: unknown[]): Promise<void> => {
    known = withMonotonicEnds(found, known, moment());
    const silentSince = lastContactMs;
    for (const account of planFence(known, moment(), { graceSeconds, heartbeatIntervalSeconds })) {
      // Ending one account takes seconds. If the control plane came back meanwhile, it decides about the others.
      if (lastContactMs !== silentSince) {
        break;
      }
      await act('end', account, failures);
    }
  };

  return {
    runOnce: async () => {
      const failures: unknown[] = [];
      const found = (await listRecords()).map((record) => ({ ...record, held: record.held || held.has(record.username) }));
      if (found.some(({ username }) => !known.some((other) => other.username === username))) {
        onNewAccount();
      }
      await holdAndRelease(found, failures);
      await endDue(found, failures);
      if (failures.length > 0) {
        throw new AggregateError(failures, `${failures.length} accounts could not be held, released or ended`);
      }
    },
    noteContact: async (answer) => {
      lastContactMs = clock.monotonicMs();
      heartbeatIntervalSeconds = answer.heartbeatIntervalSeconds;
      const usernames = answer.accounts.map(({ username }) => username);
      await writeAll([
        contact.note({ limitSeconds: answer.contactLimitSeconds, usernames }),
        moveEnds(records, answer, clock.now().getTime() / 1000),
      ]);
    },
    holdAll: async () => {
      await Promise.all((await listRecords()).filter(({ ended }) => !ended).map((account) => act('hold', account, [])));
    },
    listEnded: async () => (await records.list()).records.filter((record) => record.ended).map((record) => record.username),
  };
}

type Act = (what: keyof FenceDeps['acts'], account: AccountRecord, failures: unknown[]) => Promise<void>;

/** Runs one action on an account, and adds its error to `failures`. */
const createAct =
  ({ acts, logger }: Pick<FenceDeps, 'acts' | 'logger'>): Act =>
  async (what, account, failures) => {
    try {
      await acts[what](account);
    } catch (error) {
      failures.push(error);
      logger.error('the fence failed on an account, will try again', { what, username: account.username, error });
    }
  };

/**
 * Waits for every write, then reports the failed ones. A full disk that cannot store a new end must not keep an account from being renewed:
 * the agent would suspend it.
 */
async function writeAll(writes: Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(writes)).flatMap((outcome) =>
    outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
  );
  if (failed.length > 0) {
    throw new AggregateError(failed, `not all could be written: ${failed.map(String).join('; ')}`);
  }
}

/** Lists the records. Logs unreadable files once per change of their list. */
function createLister(records: AccountRecords, logger: Logger): () => Promise<AccountRecord[]> {
  let reported = '';
  return async () => {
    const { records: found, faulty } = await records.list();
    if (faulty.join() !== reported) {
      reported = faulty.join();
      logger.warn('account records that cannot be read are left alone', { files: faulty });
    }
    return found;
  };
}

/** Moves the ends of records to the control plane's remaining times, converted to this node's clock. */
async function moveEnds(records: AccountRecords, { accounts }: ContactAnswer, nowSeconds: number): Promise<void> {
  const remaining = new Map(accounts.map(({ username, remainingSeconds }) => [username, remainingSeconds]));
  for (const { username, ended, endsAtSeconds } of (await records.list()).records) {
    const endsAt = Math.round(nowSeconds + (remaining.get(username) ?? NaN));
    if (!ended && Math.abs(endsAt - endsAtSeconds) > TOLERANCE_SECONDS) {
      await records.update(username, { ends_at: endsAt });
    }
  }
}
