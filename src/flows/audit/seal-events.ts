import { randomBytes } from 'node:crypto';
import { isDuplicate, transaction } from '../../db/transaction';
import type { PassResult } from '../../lib/loop';
import { signHead } from '../../lib/tree/note';
import {
  countEntries,
  databaseTime,
  deleteOldHeads,
  findFirstUncertain,
  findNewestHead,
  insertEntries,
  insertHead,
  listUnsealed,
  makeEntry,
  readTree,
  type StoredHead,
} from '../../modules/audit';
import type { SweepJob } from '../../modules/jobs';
import type { SigningKey } from '../../ssh';
import type { FlowContext } from '../support/context';
import { failpoint } from '../support/failpoints';
import type { LeaderElection } from '../support/leader-election';

/** Context of the seal. `state` belongs to one process. */
export interface SealContext extends Pick<FlowContext, 'db' | 'clock' | 'logger'> {
  key: SigningKey;
  lead: LeaderElection;
  state: SealState;
}

/** When the process does again what it does not do in each pass, by its own clock. */
interface SealState {
  leadAtMs: number;
  lookFarAtMs: number;
}

export const newSealState = (): SealState => ({ leadAtMs: -Infinity, lookFarAtMs: -Infinity });

const PERIOD_SECONDS = 0.5;
/** Entries of one transaction. Twice a second, this is four times the load that the audit log is measured with (500 events/s). */
const BATCH = 1_000;
/** Each pass looks back this far before the newest sealed event. Nearly every transaction commits earlier after its event. */
const NEAR_SECONDS = 10;
/** Now and then a pass looks back further. No transaction lasts so long: MariaDB ends one that is idle for 15 s. */
const FAR_SECONDS = 300;
const FAR_EVERY_MS = 30_000;
/** A head is signed at most this often. */
const HEAD_SECONDS = 2;

export const sealJob: SweepJob<SealContext> = {
  name: 'seal',
  description: 'appends new events to the sealed audit log and signs its head',
  period: () => PERIOD_SECONDS,
  sweep: async (ctx) => ((await leads(ctx)) ? sealEvents(ctx) : 'done'),
};

/** Whether this process leads. The election saves work: two processes that seal at once do no harm. */
async function leads({ lead, clock, state }: SealContext): Promise<boolean> {
  if (clock.monotonicMs() >= state.leadAtMs) {
    await lead.keep();
    state.leadAtMs = clock.monotonicMs() + lead.intervalMs;
  }
  return lead.holds();
}

/**
 * Seals events that are committed and have no entry, and signs a head when there is something new. Nothing is kept in memory between two
 * passes, so that a pass may end after any statement. Two processes at once make entries with the same numbers: the primary key lets the
 * transaction of one of them fail as a whole.
 */
export async function sealEvents(ctx: Omit<SealContext, 'lead'>): Promise<PassResult> {
  const sealed = await sealBatch(ctx).catch((error: unknown) => {
    if (!isDuplicate(error)) {
      throw error;
    }
    ctx.logger.info('another process seals the audit log', {});
    return 0;
  });
  await signNewHead(ctx);
  return sealed === BATCH ? 'more' : 'done';
}

async function sealBatch({ db, clock, state }: Omit<SealContext, 'lead'>): Promise<number> {
  const isFar = clock.monotonicMs() >= state.lookFarAtMs;
  const firstId = await findFirstUncertain(db, isFar ? FAR_SECONDS : NEAR_SECONDS);
  const sealed = await transaction(db, async (tx) => {
    const events = await listUnsealed(tx, firstId, BATCH);
    if (events.length === 0) {
      return 0;
    }
    const tree = await readTree(tx, await countEntries(tx));
    await insertEntries(
      tx,
      events.map((event) => makeEntry(tree, event, randomBytes(16))),
    );
    failpoint('seal.commit');
    return events.length;
  });
  if (isFar && sealed < BATCH) {
    state.lookFarAtMs = clock.monotonicMs() + FAR_EVERY_MS;
  }
  failpoint('seal.sealed');
  return sealed;
}

async function signNewHead({ db, key }: Omit<SealContext, 'lead'>): Promise<void> {
  const [size, newest] = [await countEntries(db), await findNewestHead(db)];
  if (size === (newest?.size ?? 0) || (newest && newest.ageSeconds < HEAD_SECONDS)) {
    return;
  }
  await requireContinuity(db, newest, size);
  const tree = await readTree(db, size);
  const head = { size, root: tree.root(), at: await databaseTime(db) };
  await insertHead(db, { ...head, note: signHead(head, key), publicKey: key.publicKey });
  failpoint('seal.signed');
  await deleteOldHeads(db, size);
}

/** Throws when the entries are no longer those of the last head. The key must not sign for a log that somebody changed. */
async function requireContinuity(db: FlowContext['db'], newest: StoredHead | undefined, size: number): Promise<void> {
  if (newest && (newest.size > size || !(await readTree(db, newest.size)).root().equals(newest.root))) {
    throw new Error(`the sealed audit log was changed: its first ${newest.size} entries are not those of the last signed head`);
  }
}
