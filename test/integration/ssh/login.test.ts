import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Server, utils } from 'ssh2';
import { systemClock } from '../../../src/lib/clock';
import { createPooledSessions, dialDirectly, type SshTarget } from '../../../src/ssh';
import { generateSshKeyPair } from '../../lab';
import { useLab } from '../../support/hooks';

describe('a login to a node', () => {
  const lab = useLab();
  let server: Server;
  let ed25519: string;
  let target: SshTarget;
  /** What the node was asked: with a signature, or only whether the key would do. */
  let asked: string[];
  let accepts = true;

  beforeAll(async () => {
    const [hostKey, own] = [await generateSshKeyPair(lab.dir), await generateSshKeyPair(lab.dir)];
    ed25519 = readFileSync(own.keyFile, 'utf8');
    server = new Server({ hostKeys: [readFileSync(hostKey.keyFile)] }, (client) => {
      client.on('error', () => undefined);
      client.on('authentication', (attempt) => {
        asked.push(attempt.method === 'publickey' ? `${attempt.key.algo} ${attempt.signature ? 'signed' : 'asked'}` : attempt.method);
        if (!accepts || attempt.method !== 'publickey') {
          attempt.reject(['publickey']);
          return;
        }
        const key = utils.parseKey(`${attempt.key.algo.replace(/^rsa-.*/, 'ssh-rsa')} ${attempt.key.data.toString('base64')}`);
        const isGood =
          attempt.signature === undefined ||
          (!(key instanceof Error) && key.verify(attempt.blob as Buffer, attempt.signature, attempt.hashAlgo));
        if (isGood) {
          attempt.accept();
        } else {
          attempt.reject();
        }
      });
    });
    await new Promise<void>((listening) => {
      server.listen(0, '127.0.0.1', listening);
    });
    const { port } = server.address() as AddressInfo;
    target = { nodeId: 1, address: '127.0.0.1', port, hostKey: hostKey.publicKey.split(' ').slice(0, 2).join(' '), reach: 'direct' };
  });
  afterAll(async () => {
    await new Promise<void>((closed) => {
      server.close(() => closed());
    });
  });

  const logIn = async (privateKey: string): Promise<string[]> => {
    asked = [];
    const sessions = createPooledSessions({
      dial: dialDirectly,
      username: 'orion-mgmt',
      privateKey,
      clock: systemClock,
      loginTimeoutMs: 5_000,
      max: 1,
      idleMs: 5_000,
    });
    try {
      await sessions.keep(target, AbortSignal.timeout(5_000));
    } finally {
      sessions.close();
    }
    return asked;
  };

  it.each([
    ['ed25519', () => ed25519, 'ssh-ed25519'],
    ['ecdsa', () => utils.generateKeyPairSync('ecdsa', { bits: 256 }).private, 'ecdsa-sha2-nistp256'],
  ])('signs at once with a key of type %s: to be told that the key would do takes sshd 5 ms and more', async (_, key, algorithm) => {
    accepts = true;
    expect(await logIn(key())).toEqual([`${algorithm} signed`]);
  });

  it('asks first with an RSA key, and signs as the server can read it', async () => {
    accepts = true;
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    expect(await logIn(privateKey.export({ type: 'pkcs1', format: 'pem' }).toString())).toEqual([
      expect.stringMatching(/asked$/),
      expect.stringMatching(/signed$/),
    ]);
  });

  it('is over at once where the key is refused', async () => {
    accepts = false;
    await expect(logIn(ed25519)).rejects.toThrow('All configured authentication methods failed');
    expect(asked).toEqual(['ssh-ed25519 signed']);
  });
});
