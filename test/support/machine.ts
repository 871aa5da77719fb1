import { randomBytes, sign } from 'node:crypto';
import { authorizeCall } from '../../src/lib/call-mac';
import { JOIN_PROOF_HEADER, parseJoinToken, proveJoinToken } from '../../src/lib/join-token';
import { type Agreement, createAgreement } from '../../src/lib/key-agreement';
import { signingKeyOf } from '../../src/ssh';
import type { Worker } from '../lab';
import { anSshKey, privateHalfOf } from './keys';
import { sshSignature } from './ssh-signature';
import type { System } from './system';
import type { RegisteredJson, Reply } from './wire';

/** The proofs that a machine sends with its registration. The defaults are those of an honest machine. */
export interface Showing {
  joinToken?: string | undefined;
  /** If set, no new credential is agreed on. */
  credential?: string | undefined;
  /** Private key in OpenSSH format. Default: the private half of the host key in the body, as anSshKey remembers it. */
  privateKey?: string | undefined;
  path?: string;
}

/** A registration that is ready to be sent. */
export interface SignedRegistration {
  path: string;
  text: string;
  headers: Record<string, string>;
  challenge: string;
  agreement: Agreement;
}

/** Signs a registration in the same way as the agent. */
export async function signRegistration(
  url: string,
  body: object,
  { joinToken, credential, privateKey, path = '/api/workers/register' }: Showing = {},
): Promise<SignedRegistration> {
  const challenge = await fetchChallenge(url);
  const agreement = createAgreement();
  const text = JSON.stringify({ ...body, challenge, agent_key: agreement.publicKey });
  const parts = parseJoinToken(joinToken ?? '');
  const headers = {
    'Content-Type': 'application/json',
    'orion-host-key-signature': signAsHost((body as { host_key?: string }).host_key ?? '', Buffer.from(text), privateKey),
    ...(joinToken === undefined ? {} : { [JOIN_PROOF_HEADER]: parts ? proveJoinToken(parts.secret, Buffer.from(text)) : 'none' }),
    ...(credential === undefined
      ? {}
      : { Authorization: authorizeCall(credential, { method: 'POST', path, nonce: challenge, body: text }) }),
  };
  return { path, text, headers, challenge, agreement };
}

export async function fetchChallenge(url: string): Promise<string> {
  return (
    await post<{ challenge: string }>(`${url}/api/workers/challenge`, { text: '{}', headers: { 'Content-Type': 'application/json' } })
  ).body.challenge;
}

/** Sends a registration. The returned answer contains the credential that both sides agreed on, as if it had been sent. */
export async function sendRegistration(
  url: string,
  { path, text, headers, challenge, agreement }: SignedRegistration,
): Promise<Reply<RegisteredJson>> {
  const answer = await post<RegisteredJson>(`${url}${path}`, { text, headers });
  const { server_key: serverKey } = answer.body;
  if (serverKey !== undefined) {
    answer.body.credential = agreement.credential(serverKey, { challenge, agentKey: agreement.publicKey, serverKey });
  }
  return answer;
}

export const registerMachine = async (url: string, body: object, showing: Showing = {}): Promise<Reply<RegisteredJson>> =>
  sendRegistration(url, await signRegistration(url, body, showing));

/** The content type that selects the entrance of a call. The usual spelling leads to the fast path, any other to Express. */
export const ENTRANCES = [
  ['the fast path', 'application/json'],
  ['Express', 'application/json;charset="utf-8"'],
] as const;

/** Sends a call in the same way as an agent, with a challenge where one is needed. */
export async function callAsNode<T>(
  url: string,
  {
    credential,
    name,
    body = {},
    nonce,
    contentType = 'application/json',
  }: { credential: string; name: 'heartbeat' | 'leave'; body?: object; nonce?: string; contentType?: string },
): Promise<Reply<T>> {
  const path = `/api/workers/${name}`;
  const text = JSON.stringify(body);
  const shown = nonce ?? (name === 'leave' ? await fetchChallenge(url) : randomBytes(16).toString('base64url'));
  return post(`${url}${path}`, {
    text,
    headers: { 'Content-Type': contentType, Authorization: authorizeCall(credential, { method: 'POST', path, nonce: shown, body: text }) },
  });
}

export async function post<T>(url: string, { text, headers }: { text: string; headers: Record<string, string> }): Promise<Reply<T>> {
  const response = await fetch(url, { method: 'POST', headers, body: text, signal: AbortSignal.timeout(30_000) });
  const answered = await response.text();
  return {
    status: response.status,
    body: JSON.parse(answered) as Reply<T>['body'],
    text: answered,
    headers: Object.fromEntries(response.headers),
  };
}

/** Signs as a host. When the private half of the key is unknown here, another key signs. */
export function signAsHost(hostKey: string, message: Buffer, privateKey?: string): string {
  const half = privateHalfOf(hostKey) ?? privateHalfOf(anSshKey());
  if (!half) {
    throw new Error('no key to sign with');
  }
  return sshSignature(hostKey, message, (signed) =>
    privateKey === undefined ? sign(null, signed, half) : Buffer.from(signingKeyOf(privateKey).sign(signed), 'base64url'),
  );
}

/** Enrols a machine without an agent, with the system's join token. */
export async function enrolMachine(
  { admin, joinToken }: Pick<System, 'admin' | 'joinToken'>,
  body: object,
  privateKey: string,
): Promise<void> {
  const { status, text } = await registerMachine(admin.url, body, { joinToken, privateKey });
  if (status !== 201) {
    throw new Error(`answered ${status} instead of 201: ${text}`);
  }
}

/** Reads the private half of a worker's host key, in OpenSSH format. */
export async function privateKeyOf(worker: Worker): Promise<string> {
  return (await worker.exec('cat /etc/ssh/ssh_host_ed25519_key')).stdout;
}
