import { isSealed } from '../lib/call-mac';
import { registrationText } from '../lib/control-key';
import { JOIN_PROOF_HEADER, parseJoinToken, proveJoinToken } from '../lib/join-token';
import { type Agreement, createAgreement } from '../lib/key-agreement';
import { type Answer, interpret, interpretSealed } from './answer';
import type { ControlTrust } from './control-trust';
import type { HttpAnswer } from './http';
import type { RegistrationMark } from './registration-mark';
import { parseRegistration, type RegisterBody, type Registration } from './wire';

/** One request of an agent to the control plane. */
export interface Call {
  name: 'challenge' | 'register' | 'heartbeat' | 'leave' | `audit/consistency?${string}`;
  method?: 'GET';
  body: string;
  headers?: Record<string, string>;
  /** With a credential, the request is authenticated, and the answer must be. */
  credential?: string | undefined;
  nonce?: string;
  signal: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}

/** How a machine proves its identity, and verifies the identity of the control plane. */
export interface Proofs {
  trust: Pick<ControlTrust, 'demand' | 'believe'>;
  /** Signs with the private half of the host key; returns base64. */
  signAsHost: (message: Buffer) => Promise<string>;
  /** As the settings contain it; not parsed yet. */
  joinToken: string | undefined;
  /** Lets the control plane distinguish this machine from a copy of it. */
  mark: RegistrationMark;
}

export interface EnrolDeps {
  send: (call: Call) => Promise<HttpAnswer>;
  challenge: (signal?: AbortSignal) => Promise<Answer<string>>;
  proofs: Proofs;
}

export interface Enrolment {
  body: RegisterBody;
  credential: string | undefined;
  signal: AbortSignal | undefined;
}

/**
 * Registers this machine, with proof of its host key. Without a credential, the machine and the trusted control plane agree on one. Neither
 * the credential nor the join token is sent. Rejects when the machine cannot prove its identity, or when the answer is not from that
 * control plane.
 */
export async function enrol(
  { send, challenge, proofs }: EnrolDeps,
  { body, credential, signal }: Enrolment,
): Promise<Answer<Registration>> {
  await proofs.trust.demand();
  const nonce = await challenge(signal);
  if (nonce.kind !== 'ok') {
    return nonce;
  }
  return proofs.mark.around((mark) => register({ send, proofs }, { body, mark, credential, challenge: nonce.value, signal }));
}

interface Attempt extends Enrolment {
  mark: string | undefined;
  challenge: string;
}

async function register(
  { send, proofs }: Pick<EnrolDeps, 'send' | 'proofs'>,
  { body, mark, credential, challenge, signal }: Attempt,
): Promise<Answer<Registration>> {
  const agreement = createAgreement();
  const text = JSON.stringify({ ...body, challenge, agent_key: agreement.publicKey, mark });
  const headers = {
    'orion-host-key-signature': await proofs.signAsHost(Buffer.from(text)),
    ...(credential === undefined ? proofOfToken(proofs.joinToken, text) : {}),
  };
  const answer = await send({ name: 'register', body: text, headers, credential, nonce: challenge, signal });
  if (credential !== undefined) {
    return interpretSealed(answer, { credential, nonce: challenge }, parseRegistration);
  }
  const registered = interpret(answer, parseRegistration);
  if (registered.kind === 'ok') {
    const made = await agree(registered.value, { agreement, challenge, trust: proofs.trust });
    if (!isSealed(made, { nonce: challenge, status: answer.status, text: answer.text }, answer.seal ?? '')) {
      throw new Error('the answer was changed on its way');
    }
    return { kind: 'ok', value: { ...registered.value, credential: made } };
  }
  // A 410 to a machine without a credential is not authenticated, so it does not end the membership.
  return registered.kind === 'refused' && registered.status === 410
    ? { kind: 'failed', reason: 'answered 410 to a machine that has no credential' }
    : registered;
}

interface OwnHalf {
  agreement: Agreement;
  challenge: string;
  trust: Proofs['trust'];
}

/** Computes the credential from the control plane's key share, which must be signed by the trusted control key. */
async function agree({ serverKey, signature, offer }: Registration, { agreement, challenge, trust }: OwnHalf): Promise<string> {
  if (serverKey === undefined || signature === undefined || !offer) {
    throw new Error('the answer is not signed: bring the control plane up to date');
  }
  const agreed = { challenge, agentKey: agreement.publicKey, serverKey };
  await trust.believe(offer, 'registration v1', { text: registrationText(agreed), signature });
  return agreement.credential(serverKey, agreed);
}

function proofOfToken(token: string | undefined, text: string): Record<string, string> {
  if (token === undefined) {
    return {};
  }
  const parts = parseJoinToken(token);
  if (!parts) {
    throw new Error('the join token is not one (orion_join_…): an operator makes one with `orion token create`');
  }
  return { [JOIN_PROOF_HEADER]: proveJoinToken(parts.secret, Buffer.from(text)) };
}
