import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Server } from 'ssh2';
import { createAge, createDirectoryStore, createHomes, type Home, RestoreError } from '../../../src/modules/checkpoints';
import { dialDirectly } from '../../../src/ssh';
import { generateSshKeyPair } from '../../lab';
import { useLab } from '../../support/hooks';
import { makeIdentity } from './support';

const ARCHIVE = { number: 1, full: true, generation: 1, bytes: 3_000_000 };

describe('a home that is put back on a node that lets nothing begin', () => {
  const lab = useLab();
  let server: Server;
  let home: Home;
  let homes: ReturnType<typeof createHomes>;
  /** What becomes of a command after the first one. */
  let then: 'refused' | 'cut';

  beforeAll(async () => {
    const [hostKey, own] = [await generateSshKeyPair(lab.dir), await generateSshKeyPair(lab.dir)];
    server = new Server({ hostKeys: [readFileSync(hostKey.keyFile)] }, (client) => {
      let commands = 0;
      client.on('error', () => undefined);
      client.on('authentication', (attempt) => attempt.accept());
      client.on('session', (accept) => {
        accept().on('exec', (begin, refuse) => {
          commands += 1;
          if (commands > 1) {
            refuse();
            return;
          }
          const channel = begin();
          channel.exit(0);
          channel.end();
          if (then === 'cut') {
            channel.once('close', () => client.end());
          }
        });
      });
    });
    await new Promise<void>((listening) => {
      server.listen(0, '127.0.0.1', listening);
    });
    const { port } = server.address() as AddressInfo;
    home = {
      username: 'orn-l1-g1',
      uid: 5_000,
      target: { nodeId: 1, address: '127.0.0.1', port, hostKey: hostKey.publicKey.split(' ').slice(0, 2).join(' '), reach: 'direct' },
    };
    const [store, cipher] = [createDirectoryStore(lab.dir), createAge(await makeIdentity(lab))];
    const age = await cipher.encrypt(AbortSignal.timeout(10_000));
    age.input.end(Buffer.alloc(ARCHIVE.bytes, 7));
    await store.write(1, '0000000001-full', age.output as AsyncIterable<Buffer>);
    homes = createHomes({
      session: { dial: dialDirectly, username: 'orion-mgmt', privateKey: readFileSync(own.keyFile, 'utf8') },
      store,
      cipher,
    });
  }, 30_000);
  afterAll(async () => {
    await new Promise<void>((closed) => {
      server.close(() => closed());
    });
  });

  it.each(['refused', 'cut'] as const)(
    'I10: is the failure of that node alone, and at once, when the next command is %s',
    async (how) => {
      then = how;
      const unhandled: unknown[] = [];
      const note = (reason: unknown): void => void unhandled.push(reason);
      process.on('unhandledRejection', note);
      try {
        const told = await homes
          .restore(home, { leaseId: 1, archives: [ARCHIVE] }, AbortSignal.timeout(10_000))
          .catch((error: unknown) => error);
        expect(told).toBeInstanceOf(Error);
        expect(told).not.toBeInstanceOf(RestoreError);
        expect((told as Error).message).not.toContain('aborted');
      } finally {
        process.off('unhandledRejection', note);
      }
      expect(unhandled).toEqual([]);
    },
    20_000,
  );
});
