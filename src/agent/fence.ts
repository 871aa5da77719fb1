import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { AccountRecord, AccountRecords } from './account-records';
import type { Contact } from './contact';
import { planFence, planHolds, withMonotonicEnds, type FencedAccount, type FenceMoment } from './fence-plan';

export interface FenceDeps {
  records: AccountRecords;
  contact: Contact;
  /** What is done to one account: see holdAccount, releaseAccount and endAccount. */
  acts: Record<'hold' | 'release' | 'end', (record: AccountRecord) => Promise<void>>;
  clock: Clock;
  logger: Logger;
  graceSeconds: number;
  /** An account has come since the last look. */
  onNewAccount: () => void;
}

/** What the control plane says when it accepts a call. */
interface ContactAnswer {
  heartbeatIntervalSeconds: number;
  contactLimitSeconds: number;
  /** The accounts that are current here, with the remaining times by its own clock. */
  accounts: { username: string; remainingSeconds: number }[];
}

/** Keeps accounts from going on beside their successors, and from outliving their leases, while nobody but this node can stop them. */
export interface Fence {
  /** One look; holds, releases and ends what is due. Rejects when one of them failed, after having tried the others. */
  runOnce(): Promise<void>;
  /** The control plane accepted a call: it is in charge. */
  noteContact(answer: ContactAnswer): Promise<void>;
  /** Holds every account. Never rejects: what fails is logged. */
  holdAll(): Promise<void>;
  /** Names of the accounts that this node ended by itself and that still wait for their wipe. */
  listEnded(): Promise<string[]>;
}

/** Smaller differences than this are the network's, and not worth a write. */
const TOLERANCE_SECONDS = 2;
const FIRST_INTERVAL_SECONDS = 30;

export function createFence({ records, contact, acts, clock, logger, graceSeconds, onNewAccount }: FenceDeps): Fence {
  let lastContactMs = clock.monotonicMs();
  let heartbeatIntervalSeconds = FIRST_INTERVAL_SECONDS;
  let known: FencedAccount[] = [];
  const listRecords = createLister(records, logger);
  /** Held, but with a record that could not be marked. */
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
      // Ending one takes seconds; a control plane that came back meanwhile decides over the others.
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
      await writeAll([contact.note({ limitSeconds: answer.contactLimitSeconds, usernames }), moveEnds(records, answer, clock.now().getTime() / 1000)]);
    },
    holdAll: async () => {
      await Promise.all((await listRecords()).filter(({ ended }) => !ended).map((account) => act('hold', account, [])));
    },
    listEnded: async () => (await records.list()).records.filter((record) => record.ended).map((record) => record.username),
  };
}

type Act = (what: keyof FenceDeps['acts'], account: AccountRecord, failures: unknown[]) => Promise<void>;

/** Adds what it throws to `failures`. */
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

/** Waits for every write, then reports those that failed: a full disk that takes no new end must not keep an account from being confirmed, which would hold it. */
async function writeAll(writes: Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(writes)).flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  if (failed.length > 0) {
    throw new AggregateError(failed, `not all could be written: ${failed.map(String).join('; ')}`);
  }
}

/** Lists the records, and tells of files that are none, once. */
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

/** To where the control plane says that they are, on this node's clock. */
async function moveEnds(records: AccountRecords, { accounts }: ContactAnswer, nowSeconds: number): Promise<void> {
  const remaining = new Map(accounts.map(({ username, remainingSeconds }) => [username, remainingSeconds]));
  for (const { username, ended, endsAtSeconds } of (await records.list()).records) {
    const endsAt = Math.round(nowSeconds + (remaining.get(username) ?? NaN));
    if (!ended && Math.abs(endsAt - endsAtSeconds) > TOLERANCE_SECONDS) {
      await records.update(username, { ends_at: endsAt });
    }
  }
}
