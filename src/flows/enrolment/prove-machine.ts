import type { Knex } from 'knex';
import type { Tx } from '../../db/transaction';
import { registrationText } from '../../lib/control-key';
import { OrionError } from '../../lib/errors';
import { isJoinProof, type JoinProof } from '../../lib/join-token';
import { createAgreement } from '../../lib/key-agreement';
import { type Challenges, consumeJoinToken, findJoinKey, type JoinToken, readMicros, takeChallenge } from '../../modules/nodes';
import { isSignedBySshKey, type SigningKey } from '../../ssh';
import { signText } from './management-statement';

/** A machine's proof that it holds its host key and sends this registration now. */
export interface MachineProof {
  /** The signed bytes: the whole registration, including the challenge and the agent's key. */
  body: Buffer;
  challenge: string;
  /** The agent's public key of the key agreement. */
  agentKey: string;
  /** Signature by the private half of the host key. */
  hostKeySignature: string;
  join: JoinProof | null;
}

export interface ProofContext {
  challenges: Challenges;
  controlKey: SigningKey;
}

/** A credential that the machine computes as well, and the data that it needs for that. */
export interface AgreedCredential {
  credential: string;
  serverKey: string;
  /** Signature by the control key over both public keys and the challenge. */
  signature: string;
}

/** A challenge is valid for 60 s. */
const FRESH_MICROS = 60_000_000;
const NAMESPACE = 'orion-register';

export async function issueChallenge({ db, challenges }: { db: Knex; challenges: Challenges }): Promise<string> {
  return challenges.issue(await readMicros(db));
}

/** Returns when the challenge was issued. Throws state_conflict if it is too old or was not issued by this control plane. */
export async function readChallenge(ctx: { db: Knex; challenges: Challenges }, challenge: string): Promise<number> {
  const issuedAt = ctx.challenges.read(challenge);
  if (issuedAt === undefined || (await readMicros(ctx.db)) - issuedAt > FRESH_MICROS) {
    throw staleChallenge();
  }
  return issuedAt;
}

/** Marks the challenge as used. Throws state_conflict if it was used before, as in a replayed request. */
export async function spendChallenge(db: Knex | Tx, nodeId: number, issuedAt: number): Promise<void> {
  if (!(await takeChallenge(db, nodeId, issuedAt))) {
    throw staleChallenge();
  }
}

const staleChallenge = (): OrionError =>
  new OrionError('state_conflict', 'The challenge is too old, or was answered before. Get a new one: `POST /api/workers/challenge`.');

/** Checks that the registration is signed with the private half of the host key in it. Throws unauthenticated. */
export function checkHostKey(hostKey: string, { body, hostKeySignature }: MachineProof): void {
  if (!isSignedBySshKey(hostKey, { namespace: NAMESPACE, message: body, signature: hostKeySignature })) {
    throw new OrionError(
      'unauthenticated',
      'The registration is not signed by the host key in it. Set ORION_HOST_KEY_FILE to the public key whose private half lies beside it.',
    );
  }
}

/** Counts one use of the join token, if the request proves one. Throws unauthenticated. */
export async function useJoinToken(tx: Tx, { join, body }: MachineProof): Promise<JoinToken | undefined> {
  if (join === null) {
    return undefined;
  }
  const publicKey = await findJoinKey(tx, join.id);
  const token = publicKey !== undefined && isJoinProof(publicKey, join, body) ? await consumeJoinToken(tx, join.id) : undefined;
  if (!token) {
    throw new OrionError(
      'unauthenticated',
      'The join token is unknown, used up, expired, revoked or from before this release. Ask an operator for a new one: `orion token create`.',
    );
  }
  return token;
}

/** Creates the server's half of the key agreement and computes the credential. Throws invalid_request if the agent's key is not a key. */
export function agreeOnCredential({ controlKey }: ProofContext, { challenge, agentKey }: MachineProof): AgreedCredential {
  const agreement = createAgreement();
  const agreed = { challenge, agentKey, serverKey: agreement.publicKey };
  try {
    return {
      credential: agreement.credential(agentKey, agreed),
      serverKey: agreement.publicKey,
      signature: signText(controlKey, 'registration v1', registrationText(agreed)).signature,
    };
  } catch (cause) {
    throw new OrionError('invalid_request', 'agent_key: it is not a public key of X25519.', { cause });
  }
}
