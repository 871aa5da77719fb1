import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../lib/clock';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { type Head, type LogKey, openHead, parseLogKey } from '../lib/tree/note';
import { isConsistent } from '../lib/tree/proofs';
import type { Answer } from './answer';
import { readTextIfPresent, writeFileAtomic } from './files';
import type { AuditOffer, HeartbeatBody } from './wire';

/** Keeps the newest head of the audit log of the control plane, so that nobody can change that log unnoticed. No method rejects. */
export interface AuditWitness {
  /** The members of the next heartbeat: the head that this machine keeps, when it is time to ask for a newer one, and a dispute. */
  describe(): Promise<Pick<HeartbeatBody, 'audit_head' | 'audit_dispute'>>;
  /** Judges the head in the answer to that heartbeat, and keeps it if it continues the one that is kept. */
  answered(offer: AuditOffer | undefined): Promise<void>;
}

/** Asks for the proof that the log of `to` entries continues the log of `from` entries. */
type ProveAudit = (sizes: { from: number; to: number }) => Promise<Answer<Buffer[]>>;

interface WitnessOptions {
  stateDir: string;
  /** About how often this machine asks for the newest head. */
  intervalSeconds: number;
  clock: Clock;
  logger: Logger;
  prove: ProveAudit;
}

interface KeptHead {
  key: LogKey;
  note: string;
}

/** Logs that are kept at most. A control plane that changes its key begins another log. */
const MAX_LOGS = 8;
const MAX_DISPUTE = 500;

const fileIn = (stateDir: string): string => join(stateDir, 'agent', 'audit-heads.json');

export function createAuditWitness({ stateDir, intervalSeconds, clock, logger, prove }: WitnessOptions): AuditWitness {
  let askAtMs = -Infinity;
  let pending: string | undefined;
  let reported = '';
  const dispute = (reason: string): void => {
    logger.error('audit log of the control plane disputed', { reason });
    pending = reason === reported ? pending : reason.slice(0, MAX_DISPUTE);
  };
  const unreadable = (error: unknown): undefined => {
    dispute(`the heads that this machine keeps cannot be read: ${messageOf(error)}`);
    return undefined;
  };
  const judge = async (offer: AuditOffer): Promise<void> => {
    const heads = await readHeads(stateDir);
    const key = parseLogKey(offer.key);
    const head = key && openHead(offer.note, key);
    if (!head) {
      dispute('the head of the audit log is not signed by the key that is shown with it');
      return;
    }
    const kept = heads.find((each) => each.key === key);
    const problem = kept ? await whyNot(openHead(kept.note, key), head, prove) : whyNotAnother(heads, head);
    if (problem !== undefined) {
      dispute(problem);
    }
    if (problem === undefined || (!kept && heads.length < MAX_LOGS)) {
      await writeHeads(stateDir, [...heads.filter((each) => each.key !== key), { key, note: offer.note }]);
    }
  };
  return {
    describe: async () => {
      const named = clock.monotonicMs() < askAtMs ? undefined : await newestOf(stateDir).catch(unreadable);
      return { ...(named && { audit_head: named }), ...(pending !== undefined && { audit_dispute: pending }) };
    },
    answered: async (offer) => {
      if (clock.monotonicMs() >= askAtMs) {
        askAtMs = clock.monotonicMs() + intervalSeconds * 1000 * (0.8 + 0.4 * Math.random());
      }
      reported = pending ?? reported;
      pending = undefined;
      if (offer) {
        await judge(offer).catch((error: unknown) => logger.warn('head of the audit log not kept', { reason: messageOf(error) }));
      }
    },
  };
}

/** The newest heads that this machine keeps, as signed notes, the newest log last. */
export const listKeptHeads = async (stateDir: string): Promise<string[]> => (await readHeads(stateDir)).map(({ note }) => note);

/** Why the new head does not continue the kept one. Undefined: it does. Throws when no proof came. */
async function whyNot(kept: Head | undefined, head: Head, prove: ProveAudit): Promise<string | undefined> {
  if (!kept || (kept.size === head.size && kept.root.equals(head.root))) {
    return undefined;
  }
  const names = `the head of ${head.size} entries does not continue the one of ${kept.size} entries that this machine keeps`;
  if (kept.size >= head.size) {
    return names;
  }
  const proof = kept.size === 0 ? { kind: 'ok' as const, value: [] } : await prove({ from: kept.size, to: head.size });
  if (proof.kind !== 'ok') {
    throw new Error(proof.kind === 'failed' ? proof.reason : `the control plane answered ${proof.status}: ${proof.detail}`);
  }
  return isConsistent(kept, head, proof.value) ? undefined : names;
}

const whyNotAnother = (heads: readonly KeptHead[], { origin }: Head): string | undefined =>
  heads.length === 0 ? undefined : `the audit log has another key: its name is now ${origin}`;

const NO_HEAD = { size: 0, root: '' };

async function newestOf(stateDir: string): Promise<{ size: number; root: string }> {
  const newest = (await readHeads(stateDir)).at(-1);
  const head = newest && openHead(newest.note, newest.key);
  return head ? { size: head.size, root: head.root.toString('base64') } : NO_HEAD;
}

/** Reads the kept heads. A file that something damaged throws: the heads must not be replaced as if there were none. */
async function readHeads(stateDir: string): Promise<KeptHead[]> {
  const text = await readTextIfPresent(fileIn(stateDir));
  return text === undefined ? [] : (JSON.parse(text) as KeptHead[]);
}

async function writeHeads(stateDir: string, heads: readonly KeptHead[]): Promise<void> {
  await mkdir(join(stateDir, 'agent'), { recursive: true, mode: 0o700 });
  await writeFileAtomic(fileIn(stateDir), JSON.stringify(heads), { mode: 0o600 });
}
