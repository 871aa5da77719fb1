import type { Knex } from 'knex';
import { createBatcher, fulfilled } from '../lib/batcher';
import { createSeal, isCallOf, keyIdOf, type MacCall, parseAuthorization, type Seal } from '../lib/call-mac';
import { type Clock, withDeadline } from '../lib/clock';
import { OrionError } from '../lib/errors';
import { sha256 } from '../lib/ids';
import type { Logger } from '../lib/logger';
import { type Caller, type CallerHints, listCallers } from '../modules/nodes';

/** The node that made a call. */
export interface NodeCaller extends Caller {
  /** Undefined for a bearer credential, which agents of the previous release send. */
  mac: { nonce: string; seal: Seal } | undefined;
}

/** The credential in a request, not verified yet. */
export interface ShownNode {
  /** Id of the credential. */
  keyId: string;
  isFrom: (credentialHash: string) => boolean;
  /** Undefined for a bearer credential. */
  nonce: string | undefined;
}

/** Reads the credential of a call. Undefined: the call has no credential of either form. */
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

/** Finds the node that has the credential, whatever the status of the node. Undefined: no node has it. */
export type FindNodeCaller = (shown: ShownNode) => Promise<NodeCaller | undefined>;

/** Callers that one statement looks up at most. Larger batches are no faster in the database, and this process would be idle meanwhile. */
const MAX_BATCH = 250;
/** A call waits this long for others, so that one statement finds many nodes. Agents make thousands of calls a second. */
const BATCH_MS = 50;
const DEADLINE_MS = 5_000;
const RETRY_WITHIN_SECONDS = 10;

/**
 * Creates a finder that looks up calls which arrive together in one statement. It throws `unavailable` when the database fails or does not
 * answer within 5 s.
 */
export function createNodeFinder({ db, clock, logger }: { db: Knex; clock: Clock; logger: Logger }): FindNodeCaller {
  /**
   * Throws `unavailable` with a random retry time, so that agents do not all return at once after an outage. Logs once for all calls of a
   * batch.
   */
  const tryLater = (cause: unknown): never => {
    logger.error('nodes of calls not looked up', { error: cause });
    throw new OrionError('unavailable', 'The database does not answer. Try again.', {
      retryAfterSeconds: RETRY_WITHIN_SECONDS * Math.random(),
      cause,
      isLogged: true,
    });
  };
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
