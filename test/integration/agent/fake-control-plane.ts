import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { join } from 'node:path';
import { signText, type SignedManagement } from '../../../src/flows/enrolment/management-statement';
import { createSeal, isCallOf, parseAuthorization, type Seal } from '../../../src/lib/call-mac';
import { systemClock } from '../../../src/lib/clock';
import { controlFingerprint, registrationText } from '../../../src/lib/control-key';
import { sha256 } from '../../../src/lib/ids';
import { JOIN_PROOF_HEADER, parseJoinProof } from '../../../src/lib/join-token';
import { createAgreement } from '../../../src/lib/key-agreement';
import { isSignedBySshKey, signingKeyOf, type SigningKey } from '../../../src/ssh';
import { freePort, projectDir, type Lab } from '../../lab';
import { anOpenSshKeyPair } from '../../support/keys';

/** The single file that `npm run build` makes. */
export const agentFile = join(projectDir, 'dist', 'orion-agent.js');

export type Path = 'register' | 'heartbeat' | 'leave';

export interface Call {
  path: Path;
  /** Of the credential that authenticates the call; undefined: none does. */
  by: string | undefined;
  /** Whether the host key in the body signed it. */
  proved: boolean;
  /** The hash of the join token of which the call has a proof. */
  token: string | undefined;
  body: Record<string, unknown>;
  atMs: number;
  /** Makes the answer one that the agent believes. */
  seal: Seal;
}

/** Answers a call; given a value, that is signed, sealed and sent as JSON with status 200. */
export type Reply = Record<string, unknown> | ((response: ServerResponse, call: Call) => void);

/**
 * A stand-in for the control plane at the wire, so that a test can make it say anything. The agent against the real one is tested
 * end to end.
 */
export interface FakeControlPlane {
  endpoint: string;
  /** Of its control key. */
  fingerprint: string;
  controlKey: SigningKey;
  calls: Call[];
  of(path: Path): Call[];
  /** From now on; the replies of `once` are used up before. */
  reply(path: Path, reply: Reply): void;
  once(path: Path, ...replies: Reply[]): void;
  open(): Promise<void>;
  /** Refuses connections until `open`. */
  shut(): Promise<void>;
}

/** Credentials that the agent makes are known here by their order: `first`, `second`, … */
const NAMES = ['first', 'second', 'third'];

export const registration = (extra: object = {}): Record<string, unknown> => ({
  node_id: 'n1',
  status: 'unknown',
  management: { username: 'orion-mgmt', public_keys: [] },
  heartbeat_interval_seconds: 0.3,
  ...extra,
});

export const heartbeatAnswer = (extra: object = {}): Record<string, unknown> => ({
  status: 'alive',
  heartbeat_interval_seconds: 0.3,
  management: { username: 'orion-mgmt', public_keys: [] },
  accounts: [],
  ...extra,
});

export const problem =
  (status: number, body: object = {}, headers: Record<string, string> = {}): Reply =>
  (response, call) => {
    const text = JSON.stringify({ status, ...body });
    response.writeHead(status, { 'content-type': 'application/problem+json', 'orion-mac': call.seal(status, text), ...headers });
    response.end(text);
  };

export const aControlKey = (): SigningKey => signingKeyOf(anOpenSshKeyPair().private);

/** Signs what a test wants agents to be told; anything else goes out as it is. */
export function createStatements(controlKey: SigningKey): (management: unknown) => unknown {
  let serial = 0;
  let last = '';
  return (management) => {
    const { username, public_keys: publicKeys, ...signed } = management as { username: string; public_keys: string[]; statement?: unknown };
    if (signed.statement !== undefined) {
      return management;
    }
    const content = JSON.stringify([username, publicKeys]);
    serial += content === last ? 0 : 1;
    last = content;
    const statement = signText(controlKey, 'management v1', JSON.stringify({ username, public_keys: publicKeys, serial }));
    return {
      username,
      public_keys: publicKeys,
      control_key: controlKey.publicKey,
      statement,
      successors: [] satisfies SignedManagement['successors'],
    };
  };
}

/** Admits everybody, a heartbeat each 0.3 s. */
export async function createFakeControlPlane(lab: Lab, tls?: { key: Buffer; cert: Buffer }): Promise<FakeControlPlane> {
  const port = await freePort();
  const controlKey = aControlKey();
  const signed = createStatements(controlKey);
  const calls: Call[] = [];
  /** By their ids. */
  const credentials = new Map<string, { name: string; hash: string }>();
  const standing: Record<Path, Reply> = {
    register: registration(),
    heartbeat: heartbeatAnswer(),
    leave: { left: true, status: 'retired', detail: '' },
  };
  const next: Record<Path, Reply[]> = { register: [], heartbeat: [], leave: [] };
  const agree = ({ body }: Call): { answer: object; seal: Seal } => {
    const agreement = createAgreement();
    const agreed = { challenge: String(body['challenge']), agentKey: String(body['agent_key']), serverKey: agreement.publicKey };
    const hash = sha256(agreement.credential(agreed.agentKey, agreed));
    credentials.set(hash.slice(0, 24), { name: NAMES[credentials.size] ?? 'another', hash });
    const { signature } = signText(controlKey, 'registration v1', registrationText(agreed));
    return { answer: { server_key: agreement.publicKey, signature }, seal: createSeal(hash, agreed.challenge) };
  };
  const answer = (call: Call, response: ServerResponse): void => {
    calls.push(call);
    const reply = next[call.path].shift() ?? standing[call.path];
    if (typeof reply === 'function') {
      reply(response, call);
      return;
    }
    const agreed = call.path === 'register' && call.by === undefined ? agree(call) : undefined;
    const text = JSON.stringify({
      ...reply,
      ...(reply['management'] === undefined ? {} : { management: signed(reply['management']) }),
      ...agreed?.answer,
    });
    response.writeHead(200, { 'content-type': 'application/json', 'orion-mac': (agreed?.seal ?? call.seal)(200, text) }).end(text);
  };
  const listener: RequestListener = (request, response) => {
    if (request.headers.upgrade !== undefined) {
      // One from before there were tunnels.
      response.writeHead(404).end();
      return;
    }
    const chunks: Buffer[] = [];
    response.on('error', () => undefined);
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const bytes = Buffer.concat(chunks);
      const { url = '', headers } = request;
      if (url === '/api/workers/challenge') {
        response.setHeader('content-type', 'application/json').end(JSON.stringify({ challenge: `challenge-${systemClock.monotonicMs()}` }));
        return;
      }
      const body = JSON.parse(bytes.toString() || '{}') as Record<string, unknown>;
      const shown = parseAuthorization(headers.authorization);
      const known = shown && credentials.get(shown.keyId);
      const isTrue = known && isCallOf(known.hash, { method: 'POST', path: url, nonce: shown.nonce, body: bytes }, shown.mac);
      const signature = { namespace: 'orion-register', message: bytes, signature: String(headers['orion-host-key-signature']) };
      answer(
        {
          path: url.replace('/api/workers/', '') as Path,
          by: isTrue ? known.name : undefined,
          proved: isSignedBySshKey(String(body['host_key']), signature),
          token: parseJoinProof(String(headers[JOIN_PROOF_HEADER]))?.id,
          body,
          atMs: systemClock.monotonicMs(),
          seal: createSeal(known?.hash ?? '', shown?.nonce ?? ''),
        },
        response,
      );
    });
  };
  const server = tls ? createSecureServer(tls, listener) : createServer(listener);
  const shut = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  lab.push('fake control plane', shut);
  return {
    endpoint: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    fingerprint: controlFingerprint(controlKey.publicKey),
    controlKey,
    calls,
    of: (path) => calls.filter((call) => call.path === path),
    reply: (path, reply) => void (standing[path] = reply),
    once: (path, ...replies) => void next[path].push(...replies),
    open: () => new Promise((resolve) => void server.listen(port, '127.0.0.1', () => resolve())),
    shut,
  };
}
