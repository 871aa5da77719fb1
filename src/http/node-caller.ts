import type { Knex } from 'knex';
import { createBatcher, fulfilled } from '../lib/batcher';
import { createSeal, isCallOf, keyIdOf, type MacCall, parseAuthorization, type Seal } from '../lib/call-mac';
import { type Clock, withDeadline } from '../lib/clock';
import { OrionError } from '../lib/errors';
import { sha256 } from '../lib/ids';
import { type Caller, type CallerHints, listCallers } from '../modules/nodes';

/** The node that made a call. */
export interface NodeCaller extends Caller {
  /** Undefined for a bearer credential, which agents of the release before send. */
  mac: { nonce: string; seal: Seal } | undefined;
}

/** The credential that a call shows, not verified yet. */
export interface ShownNode {
  /** Of the credential. */
  keyId: string;
  isFrom: (credentialHash: string) => boolean;
  /** Undefined for a bearer credential. */
  nonce: string | undefined;
}

/** Undefined: the call shows no credential of either form. */
export function readShownNode(authorization: string | undefined, call: Omit<MacCall, 'nonce'>): ShownNode | undefined {
  const shown = parseAuthorization(authorization);
  if (shown) {
    const { keyId, nonce, mac } = shown;
    return { keyId, nonce, isFrom: (hash) => isCallOf(hash, { ...call, nonce }, mac) };
  }
  const credential = /^Bearer (\S{1,512})$/i.exec(authorization ?? '')?.[1];
  if (credential === undefined) {
    return undefined;
  }
  const hash = sha256(credential);
  return { keyId: keyIdOf(hash), nonce: undefined, isFrom: (stored) => stored === hash };
}

/** Finds the node that holds the shown credential, whatever its status; undefined: no node holds it. */
export type FindNodeCaller = (shown: ShownNode) => Promise<NodeCaller | undefined>;

/** Larger batches make the database no faster, and leave this process idle meanwhile. */
const MAX_BATCH = 250;
/** Agents call by the thousand a second. A call waits this long for others, so that one statement finds many nodes. */
const BATCH_MS = 50;
const DEADLINE_MS = 5_000;
const RETRY_WITHIN_SECONDS = 10;

/** Looks up the callers of calls that arrive together in one statement. Throws `unavailable` when the database fails or does not answer within 5 s. */
export function createNodeFinder({ db, clock }: { db: Knex; clock: Clock }): FindNodeCaller {
  const hints: CallerHints = new Map();
  const lookups = createBatcher<string, Caller | undefined>({
    max: MAX_BATCH,
    window: { ms: BATCH_MS, clock },
    work: async (keyIds) => {
      const callers = await withDeadline(DEADLINE_MS, () => listCallers(db, [...new Set(keyIds)], hints)).catch(tryLater);
      return fulfilled(keyIds.map((keyId) => callers.get(keyId)));
    },
  });
  return async ({ keyId, nonce, isFrom }) => {
    const caller = await lookups.add(keyId);
    if (!caller || !isFrom(caller.credentialHash)) {
      return undefined;
    }
    return { ...caller, mac: nonce === undefined ? undefined : { nonce, seal: createSeal(caller.credentialHash, nonce) } };
  };
}

/** Each agent comes back at a time of its own, so that the end of an outage does not bring all of them at once. */
function tryLater(cause: unknown): never {
  throw new OrionError('unavailable', 'The database does not answer. Try again.', { retryAfterSeconds: RETRY_WITHIN_SECONDS * Math.random(), cause });
}
