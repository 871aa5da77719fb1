import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { AccountRecord, AccountRecords } from './account-records';
import { planFence, withMonotonicEnds, type FencedAccount, type FenceMoment } from './fence-plan';

export interface FenceDeps {
  records: AccountRecords;
  /** Ends one account, see endAccount. */
  endAccount: (record: AccountRecord) => Promise<void>;
  clock: Clock;
  logger: Logger;
  graceSeconds: number;
}

/** Keeps accounts from outliving their leases while nobody but this node can end them. */
export interface Fence {
  /** One look; ends what is due. Rejects when an account could not be ended, after having tried the others. */
  runOnce(): Promise<void>;
  /** The control plane accepted a heartbeat: it is in charge, and these are the remaining times by its own clock. */
  noteContact(contact: { heartbeatIntervalSeconds: number; accounts: { username: string; remainingSeconds: number }[] }): Promise<void>;
  /** Names of the accounts that this node ended by itself and that still wait for their wipe. */
  listEnded(): Promise<string[]>;
}

/** Smaller differences than this are the network's, and not worth a write. */
const TOLERANCE_SECONDS = 2;
const FIRST_INTERVAL_SECONDS = 30;

export function createFence({ records, endAccount, clock, logger, graceSeconds }: FenceDeps): Fence {
  let lastContactMs = clock.monotonicMs();
  let heartbeatIntervalSeconds = FIRST_INTERVAL_SECONDS;
  let known: FencedAccount[] = [];
  let reportedFaulty = '';
  const moment = (): FenceMoment => ({ nowSeconds: clock.now().getTime() / 1000, monotonicMs: clock.monotonicMs(), lastContactMs });

  const look = async (): Promise<AccountRecord[]> => {
    const { records: found, faulty } = await records.list();
    known = withMonotonicEnds(found, known, moment());
    if (faulty.join() !== reportedFaulty) {
      reportedFaulty = faulty.join();
      logger.warn('account records that cannot be read are left alone', { files: faulty });
    }
    return planFence(known, moment(), { graceSeconds, heartbeatIntervalSeconds });
  };

  return {
    runOnce: async () => {
      const failures: unknown[] = [];
      const due = await look();
      const silentSince = lastContactMs;
      for (const account of due) {
        // Ending one takes seconds; a control plane that came back meanwhile decides over the others.
        if (lastContactMs !== silentSince) {
          break;
        }
        try {
          await endAccount(account);
        } catch (error) {
          failures.push(error);
          logger.error('account could not be ended, will be tried again', { username: account.username, error });
        }
      }
      if (failures.length > 0) {
        throw new AggregateError(failures, `${failures.length} accounts could not be ended`);
      }
    },
    noteContact: async (contact) => {
      lastContactMs = clock.monotonicMs();
      heartbeatIntervalSeconds = contact.heartbeatIntervalSeconds;
      const nowSeconds = clock.now().getTime() / 1000;
      const remaining = new Map(contact.accounts.map((account) => [account.username, account.remainingSeconds]));
      const { records: found } = await records.list();
      for (const { username, ended, endsAtSeconds } of found) {
        const endsAt = Math.round(nowSeconds + (remaining.get(username) ?? NaN));
        if (!ended && Math.abs(endsAt - endsAtSeconds) > TOLERANCE_SECONDS) {
          await records.update(username, { ends_at: endsAt });
        }
      }
    },
    listEnded: async () => (await records.list()).records.filter((record) => record.ended).map((record) => record.username),
  };
}
