import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { sha256 } from '../lib/ids';
import { type ControlContext, controlFingerprint, type SignedText, textToSign } from '../lib/control-key';
import type { Logger } from '../lib/logger';
import { rawPublicKey } from '../lib/raw-keys';
import { type ControlTrust, createControlTrust, type TrustOptions } from './control-trust';
import type { ControlOffer } from './wire';

interface Key {
  line: string;
  half: KeyObject;
}

function aKey(): Key {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    line: `ssh-ed25519 ${Buffer.concat([Buffer.from('0000000b7373682d6564323535313900000020', 'hex'), rawPublicKey(publicKey)]).toString('base64')}`,
    half: privateKey,
  };
}

const signed = (key: Key, context: ControlContext, text: string): SignedText => ({
  text,
  signature: sign(null, textToSign(context, text), key.half).toString('base64url'),
});
const offerOf = (key: Key, serial: number, { keys = ['ssh-ed25519 AAAA'], old = [] as Key[] } = {}): ControlOffer => ({
  controlKey: key.line,
  statement: signed(key, 'management v1', JSON.stringify({ username: 'orion-mgmt', public_keys: keys, serial })),
  successors: old.map((before) => ({ by: before.line, ...signed(before, 'successor v1', JSON.stringify({ key: key.line })) })),
});

let stateDir: string;
let log: string[];
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'orion-trust-'));
  log = [];
});
afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

const noted = (message: string, fields?: object): void => void log.push(`${message} ${JSON.stringify(fields)}`);
const logger: Logger = { debug: noted, info: noted, warn: noted, error: noted, child: () => logger };
const trustOf = (options: Partial<TrustOptions> = {}): ControlTrust =>
  createControlTrust({ stateDir, configured: undefined, secure: false, logger, ...options });
const pinned = (key: Key): ControlTrust => trustOf({ configured: controlFingerprint(key.line) });
const keysOf = async (trust: ControlTrust, offer: ControlOffer | undefined): Promise<string[] | undefined> =>
  (await trust.newest(offer))?.publicKeys;

describe('whom an agent trusts', () => {
  it('is who the settings name, and nobody else', async () => {
    const [right, wrong] = [aKey(), aKey()];
    const trust = pinned(right);
    await trust.demand();
    expect(await keysOf(trust, offerOf(wrong, 9))).toBeUndefined();
    expect(await keysOf(trust, offerOf(right, 1))).toEqual(['ssh-ed25519 AAAA']);
    await expect(trust.believe(offerOf(wrong, 1), 'registration v1', signed(wrong, 'registration v1', 'x'))).rejects.toThrow(
      'ORION_CONTROL_FINGERPRINT',
    );
  });

  it('is over https who answers first, from then on and after a restart, and over http nobody', async () => {
    const [first, second] = [aKey(), aKey()];
    await expect(trustOf().demand()).rejects.toThrow('set ORION_CONTROL_FINGERPRINT');
    expect(await keysOf(trustOf(), offerOf(first, 1))).toBeUndefined();
    const secure = trustOf({ secure: true });
    await secure.demand();
    expect(await keysOf(secure, offerOf(first, 1))).toEqual(['ssh-ed25519 AAAA']);
    const again = trustOf({ secure: true });
    expect(await keysOf(again, offerOf(second, 2, { keys: ['ssh-ed25519 BBBB'] }))).toEqual(['ssh-ed25519 AAAA']);
    expect(statSync(join(stateDir, 'agent', 'control-plane.json')).mode & 0o777).toBe(0o600);
  });

  it('moves on to a key that the trusted one names, and to no other', async () => {
    const [old, next, thief] = [aKey(), aKey(), aKey()];
    const trust = pinned(old);
    await keysOf(trust, offerOf(old, 1));
    const stolen = { ...offerOf(thief, 2), successors: offerOf(next, 2, { old: [old] }).successors };
    expect(await keysOf(trust, stolen)).toEqual(['ssh-ed25519 AAAA']);
    expect(await keysOf(trust, offerOf(thief, 2, { old: [thief] }))).toEqual(['ssh-ed25519 AAAA']);
    expect(await keysOf(trust, offerOf(next, 2, { keys: ['ssh-ed25519 CCCC'], old: [aKey(), old] }))).toEqual(['ssh-ed25519 CCCC']);
    // The settings still name the old key, which is no longer trusted.
    const restarted = pinned(old);
    expect(await keysOf(restarted, offerOf(old, 3))).toEqual(['ssh-ed25519 CCCC']);
    expect(await keysOf(restarted, offerOf(next, 4, { keys: ['ssh-ed25519 DDDD'] }))).toEqual(['ssh-ed25519 DDDD']);
  });

  it('begins anew when the settings name another', async () => {
    const [old, other] = [aKey(), aKey()];
    await keysOf(pinned(old), offerOf(old, 1000));
    expect(await keysOf(pinned(other), offerOf(other, 1, { keys: ['ssh-ed25519 EEEE'] }))).toEqual(['ssh-ed25519 EEEE']);
  });
});

describe('the keys that an agent installs', () => {
  it('are those of the newest statement: an older one that is sent again changes nothing, also after a restart', async () => {
    const key = aKey();
    const [before, now] = [offerOf(key, 5, { keys: ['ssh-ed25519 OLD'] }), offerOf(key, 6, { keys: ['ssh-ed25519 NEW'] })];
    const trust = pinned(key);
    expect([
      await keysOf(trust, before),
      await keysOf(trust, now),
      await keysOf(trust, before),
      await keysOf(trust, offerOf(key, 6, { keys: ['ssh-ed25519 TWIN'] })),
    ]).toEqual([['ssh-ed25519 OLD'], ['ssh-ed25519 NEW'], ['ssh-ed25519 NEW'], ['ssh-ed25519 NEW']]);
    expect(await keysOf(pinned(key), before)).toEqual(['ssh-ed25519 NEW']);
    expect(log.filter((line) => line.includes('is older than'))).not.toEqual([]);
  });

  it('stay where the answer leaves the statement out, because the agent named it', async () => {
    const key = aKey();
    const trust = pinned(key);
    expect(await trust.statementHash()).toBeUndefined();
    const offer = offerOf(key, 5);
    await keysOf(trust, offer);
    expect(await trust.statementHash()).toBe(sha256(offer.statement.text));
    expect(await keysOf(trust, undefined)).toEqual(['ssh-ed25519 AAAA']);
    expect(log).toEqual([]);
    expect(await pinned(key).statementHash()).toBe(sha256(offer.statement.text));
  });

  it('are none that nobody signed, or that were signed for something else', async () => {
    const key = aKey();
    const trust = pinned(key);
    const { statement, ...rest } = offerOf(key, 1);
    const forged = { ...statement, text: statement.text.replace('AAAA', 'EVIL') };
    for (const bad of [
      forged,
      { ...statement, signature: '' },
      signed(key, 'registration v1', statement.text),
      signed(key, 'successor v1', statement.text),
    ]) {
      expect(await keysOf(trust, { ...rest, statement: bad })).toBeUndefined();
    }
    expect(await keysOf(trust, undefined)).toBeUndefined();
    expect(log.at(-1)).toContain('bring the control plane up to date');
    expect(await keysOf(trust, { ...rest, statement })).toEqual(['ssh-ed25519 AAAA']);
    expect(readFileSync(join(stateDir, 'agent', 'control-plane.json'), 'utf8')).not.toContain('EVIL');
  });

  it('are installed although nothing can be written, and are written as soon as there is room', async () => {
    const key = aKey();
    const blocked = join(stateDir, 'agent');
    writeFileSync(blocked, 'no folder can be here');
    const trust = pinned(key);
    expect([await keysOf(trust, offerOf(key, 1)), await keysOf(trust, offerOf(key, 1))]).toEqual([
      ['ssh-ed25519 AAAA'],
      ['ssh-ed25519 AAAA'],
    ]);
    expect(log.filter((line) => line.includes('could not be written'))).not.toEqual([]);

    rmSync(blocked);
    await keysOf(trust, offerOf(key, 1));
    expect(readFileSync(join(blocked, 'control-plane.json'), 'utf8')).toContain('AAAA');
  });

  it.each(['', '{"fingerprint":', 'null', '[]', '{"statement":7}'])(
    'are taken anew, from the control plane of the settings alone, where the file holds %s',
    async (text) => {
      const [key, other] = [aKey(), aKey()];
      mkdirSync(join(stateDir, 'agent'));
      writeFileSync(join(stateDir, 'agent', 'control-plane.json'), text);
      const trust = pinned(key);
      expect(await keysOf(trust, offerOf(other, 1))).toBeUndefined();
      expect(await keysOf(trust, offerOf(key, 1))).toEqual(['ssh-ed25519 AAAA']);
    },
  );
});
