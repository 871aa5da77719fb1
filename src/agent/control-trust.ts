import { controlFingerprint, type ControlContext, isSignedByControlKey, type SignedText } from '../lib/control-key';
import { messageOf } from '../lib/errors';
import { sha256 } from '../lib/ids';
import type { Logger } from '../lib/logger';
import { openTrustStore, type Trusted } from './trust-store';
import { type ControlOffer, type Management, parseStatement } from './wire';

/** Decides which control plane this machine trusts, and remembers it. */
export interface ControlTrust {
  /** Throws when no setting names the control plane and calls use plain http, where anybody on the network path could answer for it. */
  demand(): Promise<void>;
  /**
   * Throws unless the trusted control plane signed this text. Switches to a new control key if the trusted key names it as its successor.
   */
  believe(offer: ControlOffer, context: ControlContext, signed: SignedText): Promise<void>;
  /**
   * Returns the management account with the keys of the newest statement that was ever believed. An older or forged statement is logged and
   * changes nothing. Without an offer, the known statement stays in force.
   */
  newest(offer: ControlOffer | undefined): Promise<Management | undefined>;
  /** SHA-256 of the newest statement that was believed. The control plane does not send that statement again. */
  statementHash(): Promise<string | undefined>;
}

export interface TrustOptions {
  stateDir: string;
  /** Fingerprint from the settings or the join token. */
  configured: string | undefined;
  /** Whether calls use https. If so, and nothing else names the control plane, the first answer is believed. */
  secure: boolean;
  logger: Logger;
}

const UNKNOWN =
  'this machine does not know which control plane to trust, and plain http does not tell: set ORION_CONTROL_FINGERPRINT, use a join token of this release, or an https endpoint';

/** Keeps the state in the folder of the credential, so that `leave` removes both (./trust-store). */
export function createControlTrust(options: TrustOptions): ControlTrust {
  const { configured, secure, logger } = options;
  const store = openTrustStore(options);
  const admit = async (offer: ControlOffer): Promise<Trusted> => {
    const shown = controlFingerprint(offer.controlKey);
    const trusted = await store.load();
    if (trusted?.fingerprint === shown) {
      return trusted;
    }
    if (trusted ? !isNamed(offer, trusted.fingerprint) : !secure) {
      throw new Error(
        trusted
          ? `the control plane shows the control key ${shown}, and this machine trusts ${trusted.fingerprint}: set ORION_CONTROL_FINGERPRINT if that is right`
          : UNKNOWN,
      );
    }
    const admitted = { configured: configured ?? null, ...trusted, fingerprint: shown };
    await store.save(admitted);
    logger.warn('control key trusted from now on', { fingerprint: shown, before: trusted?.fingerprint });
    return admitted;
  };
  const believe: ControlTrust['believe'] = async (offer, context, signed) => {
    if (!isSignedByControlKey(offer.controlKey, context, signed)) {
      throw new Error('the signature is not by the control key that is shown with it');
    }
    await admit(offer);
  };
  const take = async (offer: ControlOffer | undefined, current: string | undefined): Promise<string> => {
    if (!offer) {
      throw new Error('the answer has no signed statement: bring the control plane up to date');
    }
    const { text } = offer.statement;
    await believe(offer, 'management v1', offer.statement);
    const { serial } = parseStatement(text);
    if (current !== undefined && serial <= parseStatement(current).serial) {
      throw new Error(`the statement ${serial} is older than the one that is known`);
    }
    await store.save({ ...(await admit(offer)), statement: text });
    return text;
  };
  const current = async (): Promise<string | undefined> => (await store.load())?.statement;
  return {
    demand: async () => {
      if (!secure && !(await store.load())) {
        throw new Error(UNKNOWN);
      }
    },
    believe,
    newest: createNewest({ take, current, logger }),
    statementHash: async () => {
      const known = await current();
      return known === undefined ? undefined : sha256(known);
    },
  };
}

interface Taking {
  /** Rejects when the statement must not be believed. */
  take: (offer: ControlOffer | undefined, current: string | undefined) => Promise<string>;
  current: () => Promise<string | undefined>;
  logger: Logger;
}

function createNewest({ take, current, logger }: Taking): ControlTrust['newest'] {
  let refused: string | undefined;
  return async (offer) => {
    const known = await current();
    const text = offer?.statement.text ?? known ?? '';
    const newest =
      text === known
        ? known
        : await take(offer, known).catch((error: unknown) => {
            // Each heartbeat answer contains the same statement: log a refused one once.
            if (refused !== text) {
              refused = text;
              logger.error('management keys refused, those that are known stay', { reason: messageOf(error) });
            }
            return known;
          });
    return newest === undefined ? undefined : parseStatement(newest).management;
  };
}

/** Whether the trusted control key names the offered key as its successor. */
function isNamed({ controlKey, successors }: ControlOffer, trusted: string): boolean {
  return successors.some(
    ({ by, text, signature }) =>
      controlFingerprint(by) === trusted &&
      isSignedByControlKey(by, 'successor v1', { text, signature }) &&
      text === JSON.stringify({ key: controlKey }),
  );
}
