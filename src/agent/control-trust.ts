import { controlFingerprint, type ControlContext, isSignedByControlKey, type SignedText } from '../lib/control-key';
import { messageOf } from '../lib/errors';
import { sha256 } from '../lib/ids';
import type { Logger } from '../lib/logger';
import { openTrustStore, type Trusted } from './trust-store';
import { type ControlOffer, type Management, parseStatement } from './wire';

/** Which control plane this machine believes, and what it has believed of it so far. */
export interface ControlTrust {
  /** Throws when nothing says which control plane this is and anybody on the way could answer for it. */
  demand(): Promise<void>;
  /** Throws unless the control plane that this machine trusts signed this text. Moves on to a new key that the trusted one names. */
  believe(offer: ControlOffer, context: ControlContext, signed: SignedText): Promise<void>;
  /**
   * The keys that may open this machine: those of the newest statement that was ever believed. An older or a forged statement is logged and changes nothing.
   * Without an offer the known statement stands.
   */
  newest(offer: ControlOffer | undefined): Promise<Management | undefined>;
  /** SHA-256 of the newest statement that was believed. The control plane does not send that statement again. */
  statementHash(): Promise<string | undefined>;
}

export interface TrustOptions {
  stateDir: string;
  /** Fingerprint from the settings or the join token. */
  configured: string | undefined;
  /** Whether calls go over https: then the first answer is believed when nothing else says whom to trust. */
  secure: boolean;
  logger: Logger;
}

const UNKNOWN = 'this machine does not know which control plane to trust, and plain http does not tell: set ORION_CONTROL_FINGERPRINT, use a join token of this release, or an https endpoint';

/** What it believes is kept beside the credential, and goes with it (./trust-store). */
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
      throw new Error(trusted ? `the control plane shows the control key ${shown}, and this machine trusts ${trusted.fingerprint}: set ORION_CONTROL_FINGERPRINT if that is right` : UNKNOWN);
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
  /** Rejects for a statement that is not to be believed. */
  take: (offer: ControlOffer | undefined, current: string | undefined) => Promise<string>;
  current: () => Promise<string | undefined>;
  logger: Logger;
}

function createNewest({ take, current, logger }: Taking): ControlTrust['newest'] {
  let refused: string | undefined;
  return async (offer) => {
    const known = await current();
    const text = offer?.statement.text ?? known ?? '';
    const newest = text === known ? known : await take(offer, known).catch((error: unknown) => {
      // The same statement comes with each heartbeat.
      if (refused !== text) {
        refused = text;
        logger.error('management keys refused, those that are known stay', { reason: messageOf(error) });
      }
      return known;
    });
    return newest === undefined ? undefined : parseStatement(newest).management;
  };
}

/** Whether the trusted control key names the one that is offered as its successor. */
function isNamed({ controlKey, successors }: ControlOffer, trusted: string): boolean {
  return successors.some(
    ({ by, text, signature }) => controlFingerprint(by) === trusted && isSignedByControlKey(by, 'successor v1', { text, signature }) && text === JSON.stringify({ key: controlKey }),
  );
}
