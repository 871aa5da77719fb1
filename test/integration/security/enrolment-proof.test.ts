import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { createControlTrust } from '../../../src/agent/control-trust';
import { parseHeartbeatAnswer } from '../../../src/agent/wire';
import { authorizeCall, isSealed } from '../../../src/lib/call-mac';
import { controlFingerprint, isSignedByControlKey, registrationText } from '../../../src/lib/control-key';
import { sha256 } from '../../../src/lib/ids';
import { silentLogger } from '../../../src/lib/logger';
import { signingKeyOf } from '../../../src/ssh';
import { CONTROL_KEY, startTestApi } from '../../support/api';
import { aLease, aNode } from '../../support/builders';
import { age, row } from '../../support/database';
import { useTestApi, useTestDatabase, useUser } from '../../support/hooks';
import { anOpenSshKeyPair, anSshKey, privateHalfOf } from '../../support/keys';
import {
  callAsNode,
  ENTRANCES,
  fetchChallenge,
  post,
  registerMachine,
  sendRegistration,
  signRegistration,
  type SignedRegistration,
} from '../../support/machine';
import type { IssuedJoinToken } from '../../../src/contract';
import type { RegisteredJson, Reply } from '../../support/wire';
import { checksums, expectRefusal } from './support';

const database = useTestDatabase({ resetEach: true });
const api = useTestApi(database);
const replicas = [api, useTestApi(database)] as const;
const admin = useUser(database, { role: 'admin' });

const aToken = async (body: object = {}): Promise<IssuedJoinToken> =>
  (await api.call<IssuedJoinToken>('post', '/api/tokens', { as: admin, body: { name: 'lab', max_uses: 5, ...body } })).body;
const stored = (id: number): Promise<Record<string, unknown>> => row(database.db, 'SELECT * FROM nodes WHERE id = ?', [id]);
const aMachine = (hostKey = anSshKey()): { hostname: string; host_key: string } => ({ hostname: 'edge-1', host_key: hostKey });
const refuses = async (what: string, registration: Promise<Reply<RegisteredJson>>): Promise<Reply<RegisteredJson>> => {
  const before = await checksums(database.db);
  const answer = await registration;
  expectRefusal(answer, what);
  expect(await checksums(database.db)).toEqual(before);
  return answer;
};

describe('a public host key is no identity', () => {
  /** Has read the key of somebody else's machine, as any SSH client may, and signs with one of its own. */
  const stranger = async (hostKey: string, showing: { joinToken?: string; credential?: string } = {}): Promise<Reply<RegisteredJson>> => {
    const signed = await signRegistration(api.url, { hostname: 'stranger', host_key: anSshKey() }, showing);
    const text = signed.text.replace(/"host_key":"[^"]*"/, `"host_key":"${hostKey}"`);
    return sendRegistration(api.url, { ...signed, text });
  };

  it.each(['pending', 'alive', 'quarantined', 'dead'] as const)(
    'R1: who knows the one of a node that is %s gets nothing of it, with a join token or without',
    async (status) => {
      const { token } = await aToken();
      const node = await aNode(database.db, { status });
      await aLease(database.db, { userId: admin.id, nodeId: node.id });
      for (const joinToken of [undefined, token]) {
        expect(await refuses('a stranger', stranger(node.hostKey, { ...(joinToken === undefined ? {} : { joinToken }) }))).toMatchObject({
          status: 401,
          body: { code: 'unauthenticated' },
        });
      }
    },
  );

  it('R1: it cannot be offered in the place of another key either: the credential alone does not prove it', async () => {
    const [mine, theirs] = [await aNode(database.db), await aNode(database.db)];
    await refuses('a key that is not had', stranger(theirs.hostKey, { credential: mine.credential }));
  });

  it.each([
    [
      'no signature',
      (signed: SignedRegistration) => ({
        ...signed,
        headers: Object.fromEntries(Object.entries(signed.headers).filter(([name]) => name !== 'orion-host-key-signature')),
      }),
    ],
    ['a signature of something else', (signed: SignedRegistration) => ({ ...signed, text: signed.text.replace('edge-1', 'edge-2') })],
    ['no challenge', (signed: SignedRegistration) => ({ ...signed, text: signed.text.replace('"challenge"', '"unchallenged"') })],
  ])('R1: a registration with %s enrols nobody', async (what, change) => {
    await refuses(
      what,
      sendRegistration(api.url, change(await signRegistration(api.url, aMachine(), { joinToken: (await aToken()).token }))),
    );
  });

  it('R1: a machine that lost its state enrols under its own row again, with a join token; without one it is told how', async () => {
    const { token } = await aToken();
    const machine = aMachine();
    const first = await registerMachine(api.url, machine, { joinToken: token });
    expect(await registerMachine(api.url, machine)).toMatchObject({
      status: 409,
      body: { code: 'node_known', detail: expect.stringContaining('join token') as unknown },
    });
    const again = await registerMachine(api.url, machine, { joinToken: token });
    expect(again).toMatchObject({ status: 201, body: { node_id: first.body.node_id } });
    expect(again.body.credential).not.toBe(first.body.credential);
  });

  it('R1: an agent of the release before registers again by its credential, enrols no machine, and is told to be brought up to date', async () => {
    const node = await aNode(database.db);
    const again = await api.call('post', '/api/workers/register', { as: node.credential, body: aMachine(node.hostKey) });
    expect(again).toMatchObject({ status: 200, body: { node_id: node.id, management: { public_keys: ['ssh-ed25519 AAAA'] } } });
    const { token } = await aToken();
    const refusal = await refuses(
      'an old agent',
      api.call('post', '/api/workers/register', { body: { ...aMachine(), join_token: token } }),
    );
    expect(refusal).toMatchObject({ status: 401, body: { detail: expect.stringContaining('installer') as unknown } });
  });
});

describe('what is sent again is refused', () => {
  it('R1: a registration, by whoever recorded it, at either replica; the machine keeps its credential', async () => {
    const { id, token } = await aToken();
    const signed = await signRegistration(api.url, aMachine(), { joinToken: token });
    const { body } = await sendRegistration(api.url, signed);
    for (const { url } of replicas) {
      expect(await refuses('a replay', sendRegistration(url, signed))).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
    }
    expect(await stored(body.node_id)).toMatchObject({ credential_hash: sha256(body.credential ?? '') });
    expect(await row(database.db, 'SELECT uses FROM join_tokens WHERE id = ?', [id])).toEqual({ uses: 1 });
  });

  it('R3: that of a known machine', async () => {
    const node = await aNode(database.db);
    const signed = await signRegistration(api.url, aMachine(node.hostKey), { credential: node.credential });
    expect((await sendRegistration(api.url, signed)).status).toBe(200);
    await age(database.db, "UPDATE nodes SET status = 'alive', dirty = 0, address = '127.0.0.9' WHERE id = ?", [node.id]);
    await refuses('a replay', sendRegistration(api.url, signed));
  });

  it('R6: an order to leave, when the operator has undone it meanwhile', async () => {
    const node = await aNode(database.db, { dirty: true });
    const nonce = await fetchChallenge(api.url);
    const leave = (): Promise<Reply<{ left: boolean }>> => callAsNode(api.url, { credential: node.credential, name: 'leave', nonce });
    expect(await leave()).toMatchObject({ status: 200, body: { left: false } });
    await api.call('post', `/api/nodes/${node.id}/undrain`, { as: admin });
    expect(await leave()).toMatchObject({ status: 409 });
    expect(await stored(node.id)).toMatchObject({ leaving: 0, drained: 0 });
    expect((await callAsNode(api.url, { credential: node.credential, name: 'leave', nonce: 'of-its-own-choice' })).status).toBe(409);
  });

  it('R1: a challenge that is a minute old, of another control plane, or edited', async () => {
    const other = await startTestApi(database.db, { tokens: { key: 'a key of some other control plane, long enough' } });
    const fresh = await fetchChallenge(api.url);
    const [micros = ''] = fresh.split('.');
    for (const nonce of [await fetchChallenge(other.url), fresh.replace(micros, String(Number(micros) + 1_000_000)), `${fresh}A`]) {
      const node = await aNode(database.db, { dirty: true });
      expect((await callAsNode(api.url, { credential: node.credential, name: 'leave', nonce })).status).toBe(409);
    }
    await other.close();
  });
});

describe('a call without the credential in it', () => {
  const sendHeartbeat = (
    url: string,
    credential: string,
    change: { nonce?: string; contentType?: string } = {},
  ): Promise<Reply<{ status: string }>> => callAsNode(url, { credential, name: 'heartbeat', body: { load1: 0.5 }, ...change });

  it.each(ENTRANCES)(
    'R2: is taken from its node alone, over %s, and answered so that the node can tell who answers',
    async (_entrance, contentType) => {
      const node = await aNode(database.db);
      const answer = await sendHeartbeat(api.url, node.credential, { nonce: 'nonce-of-mine', contentType });
      expect(answer).toMatchObject({ status: 200, body: { status: 'alive' } });
      expect(isSealed(node.credential, { nonce: 'nonce-of-mine', status: 200, text: answer.text }, answer.headers['orion-mac'] ?? '')).toBe(
        true,
      );
      expect(isSealed(node.credential, { nonce: 'another', status: 200, text: answer.text }, answer.headers['orion-mac'] ?? '')).toBe(
        false,
      );
      expect((await sendHeartbeat(api.url, `${node.credential}x`, { contentType })).status).toBe(401);
    },
  );

  it("R2: that was changed on its way is nobody's", async () => {
    const node = await aNode(database.db);
    for (const [, contentType] of ENTRANCES) {
      const text = '{"load1":0.5}';
      const headers = {
        'Content-Type': contentType,
        Authorization: authorizeCall(node.credential, {
          method: 'POST',
          path: '/api/workers/heartbeat',
          nonce: 'nonce-of-mine',
          body: text,
        }),
      };
      const send = (change: { text?: string; path?: string; authorization?: string }): Promise<Reply<unknown>> =>
        post(`${api.url}${change.path ?? '/api/workers/heartbeat'}`, {
          text: change.text ?? text,
          headers: { ...headers, Authorization: change.authorization ?? headers.Authorization },
        });
      expect((await send({})).status).toBe(200);
      const [scheme = '', shown = ''] = headers.Authorization.split(' ');
      const [keyId = '', nonce = '', mac = ''] = shown.split(':');
      for (const changed of [
        { text: '{"load1":0.6}' },
        { path: '/api/workers/leave' },
        { authorization: `${scheme} ${keyId}:${nonce}x:${mac}` },
        { authorization: `${scheme} ${keyId}:${nonce}:${mac.slice(1)}A` },
        { authorization: `${scheme} ${'0'.repeat(24)}:${nonce}:${mac}` },
      ]) {
        expectRefusal(await send(changed), JSON.stringify(changed));
      }
    }
  });

  it('R6: a retired node is told so in a way that only its control plane can', async () => {
    const node = await aNode(database.db);
    await api.call('post', `/api/nodes/${node.id}/retire`, { as: admin });
    for (const [, contentType] of ENTRANCES) {
      const answer = await sendHeartbeat(api.url, node.credential, { nonce: 'nonce-of-mine', contentType });
      expect(answer).toMatchObject({ status: 410, body: { code: 'node_retired' } });
      expect(isSealed(node.credential, { nonce: 'nonce-of-mine', status: 410, text: answer.text }, answer.headers['orion-mac'] ?? '')).toBe(
        true,
      );
    }
  });

  it('R1: neither it nor the join token is in what enrols a machine or in the database, and a stolen backup enrols nobody', async () => {
    const { token } = await aToken();
    const signed = await signRegistration(api.url, aMachine(), { joinToken: token });
    const answer = await sendRegistration(api.url, signed);
    const { credential = '', server_key: serverKey = '', signature = '', management } = answer.body;
    const tables = JSON.stringify(await Promise.all(['nodes', 'join_tokens', 'events'].map((table) => database.db(table).select())));
    for (const secret of [
      credential,
      token,
      token.slice('orion_join_'.length, 'orion_join_'.length + 43),
      privateHalfOf(aMachine().host_key)?.export({ format: 'jwk' }).d ?? 'none',
    ]) {
      expect(`${JSON.stringify(signed)} ${answer.text} ${tables}`).not.toContain(secret);
    }
    const text = registrationText({ challenge: signed.challenge, agentKey: signed.agreement.publicKey, serverKey });
    expect(management.control_key).toBe(CONTROL_KEY.publicKey);
    expect(isSignedByControlKey(CONTROL_KEY.publicKey, 'registration v1', { text, signature })).toBe(true);
    expect(isSealed(credential, { nonce: signed.challenge, status: 201, text: answer.text }, answer.headers['orion-mac'] ?? '')).toBe(true);
  });
});

describe('the statement of the keys that open nodes', () => {
  const serialAt = async (keys: string[]): Promise<number> => {
    const at = await startTestApi(database.db, { managementKeys: keys });
    const node = await aNode(database.db);
    const { body } = await callAsNode<RegisteredJson>(at.url, { credential: node.credential, name: 'heartbeat' });
    await at.close();
    const { statement, control_key: key } = body.management;
    expect(isSignedByControlKey(key, 'management v1', statement)).toBe(true);
    const said = JSON.parse(statement.text) as { public_keys: string[]; serial: number };
    expect(said.public_keys).toEqual(keys);
    return said.serial;
  };

  it('R44: has one number at all replicas that say the same, and a higher one for whatever is said later, even over a database of yesterday', async () => {
    const [first, same, next, back] = [
      await serialAt(['ssh-ed25519 AAAA']),
      await serialAt(['ssh-ed25519 AAAA']),
      await serialAt(['ssh-ed25519 BBBB']),
      await serialAt(['ssh-ed25519 AAAA']),
    ];
    expect(same).toBe(first);
    expect(next).toBeGreaterThan(first);
    expect(back).toBeGreaterThan(next);
    await database.db('management_statement').delete();
    expect(await serialAt(['ssh-ed25519 BBBB'])).toBeGreaterThan(back);
  });

  it.each([
    ['by the old one, is believed by an agent that knows the old one', true],
    ['by nobody, is not', false],
  ])('R44: a new control key that is vouched for %s', async (_what, named) => {
    const old = signingKeyOf(anOpenSshKeyPair().private);
    const at = await startTestApi(database.db, { oldControlKeys: named ? [old] : [] });
    const node = await aNode(database.db);
    const { body } = await callAsNode(at.url, { credential: node.credential, name: 'heartbeat' });
    await at.close();
    const stateDir = mkdtempSync(join(tmpdir(), 'orion-trust-'));
    const trust = createControlTrust({ stateDir, configured: controlFingerprint(old.publicKey), secure: false, logger: silentLogger });
    const newest = await trust.newest(parseHeartbeatAnswer(body).offer);
    rmSync(stateDir, { recursive: true });
    expect(newest).toEqual(named ? { username: 'orion-mgmt', publicKeys: ['ssh-ed25519 AAAA'] } : undefined);
  });
});
