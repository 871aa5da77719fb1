import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { messageOf } from '../../../src/lib/errors';
import {
  type Archive,
  type Cipher,
  type Home,
  RestoreError,
  type SaveOrder,
  StateMissingError,
  TooLargeError,
} from '../../../src/modules/checkpoints';
import { eventually, startRelay } from '../../lab';
import { asRoot, useBench } from '../provisioning/support';
import { useForAll } from '../../support/hooks';
import { anAccount, asOwner, createArchivist, describeHome, KEYS, type Store } from './support';

const MIB = 2 ** 20;
const LIMIT_MS = 120_000;
const never = new AbortController().signal;

describe('homes, over real sshd, tar and age', () => {
  const { bench, worker } = useBench();
  const archivist = useForAll(() => createArchivist(bench));
  let leases = 0;

  const newLease = (): number => (leases += 1);
  const orderFor = (leaseId: number, number: number, base: Archive | null = null, roomBytes = 64 * MIB): SaveOrder => ({
    leaseId,
    generation: 1,
    number,
    base,
    roomBytes,
  });
  const save = (home: Home, order: SaveOrder, signal = never): Promise<Archive> => archivist.homes.save(home, order, signal);
  const restore = (home: Home, leaseId: number, archives: Archive[]): Promise<void> =>
    archivist.homes.restore(home, { leaseId, archives }, never);
  const keysOf = (home: Home): Promise<string> => asRoot(worker, `cat /home/${home.username}/.ssh/authorized_keys`);
  const fileOf = (leaseId: number, name: RegExp): string => {
    const dir = join(archivist.dir, `lease-${leaseId}`);
    return join(dir, readdirSync(dir).find((file) => name.test(file)) ?? 'none');
  };

  it(
    'what a tenant had is what there is on the next node: all of it, then only what changed, deleted and renamed things included',
    async () => {
      const [old, next, leaseId] = [await anAccount(worker), await anAccount(worker), newLease()];
      await asOwner(
        worker,
        old,
        `
      mkdir -p a/b/c locked; echo 1 > a/b/c/one; echo gone > gone; ln gone hard; echo r > locked/r; chmod 500 locked
      ln -s /etc/shadow shadow; truncate -s 1T sparse; mkfifo fifo; touch $'new\\nline'; cp /bin/true suid; chmod 4755 suid
      echo secret > unreadable; chmod 0 unreadable; echo 'Host *' > .ssh/config; head -c 300000 /dev/urandom > noise`,
      );
      const first = await save(old, orderFor(leaseId, 1));
      await asOwner(
        worker,
        old,
        `
      rm gone; mv a moved; echo 2 > moved/b/two; mkdir a; echo other > a/other; chmod 700 locked; echo s > locked/s; rm locked/r; chmod 500 locked
      chmod 600 unreadable; rm .ssh/config`,
      );
      const second = await save(old, orderFor(leaseId, 2, first));
      expect([first.full, second.full]).toEqual([true, false]);
      expect(second.bytes).toBeLessThan(first.bytes / 4);

      await restore(next, leaseId, [first, second]);

      expect(await describeHome(worker, next)).toEqual(await describeHome(worker, old));
      expect(await describeHome(worker, next)).toEqual(
        expect.arrayContaining([expect.stringMatching(/^shadow\|l\|777\|1\|\/etc\/shadow/), expect.stringMatching(/^suid\|f\|4755\|1/)]),
      );
      expect(await keysOf(next)).toBe(KEYS.trim());
      // Once more, as after a crash: it comes to the same.
      await asOwner(worker, next, 'mkdir -m 500 .orion-restore; echo stray > stray');
      await restore(next, leaseId, [first, second]);
      expect(await describeHome(worker, next)).toEqual(await describeHome(worker, old));
    },
    LIMIT_MS,
  );

  it(
    'nothing of it is readable in the store',
    async () => {
      const [home, leaseId] = [await anAccount(worker), newLease()];
      await asOwner(worker, home, 'echo a-canary-of-the-tenant > a-telling-name');
      const archive = await save(home, orderFor(leaseId, 1));
      const stored = readFileSync(fileOf(leaseId, /full/));
      expect(stored.subarray(0, 22).toString()).toBe('age-encryption.org/v1\n');
      expect(stored.includes('a-canary-of-the-tenant') || stored.includes('a-telling-name')).toBe(false);
      expect(stored.length).toBe(archive.bytes);
    },
    LIMIT_MS,
  );

  it.each([
    ['removed', 'rm -rf .orion-checkpoint'],
    ['replaced by a link', 'rm -rf .orion-checkpoint; ln -s /etc .orion-checkpoint'],
    ['with a link in it', 'cd .orion-checkpoint; for f in *; do rm "$f"; ln -s /etc/passwd "$f"; done'],
    ['with a pipe in it', 'cd .orion-checkpoint; for f in *; do rm "$f"; mkfifo "$f"; done'],
    ['as a file', 'rm -rf .orion-checkpoint; echo > .orion-checkpoint'],
  ])(
    'a record that was %s makes the next one a full one, and touches nothing outside of the home',
    async (_how, tamper) => {
      const [home, leaseId] = [await anAccount(worker), newLease()];
      const outside = await asRoot(worker, 'ls -laR /etc/passwd /etc/ssh | sha256sum; sha256sum < /etc/passwd');
      const first = await save(home, orderFor(leaseId, 1));
      await asOwner(worker, home, tamper);
      await expect(save(home, orderFor(leaseId, 2, first))).rejects.toBeInstanceOf(StateMissingError);
      const again = await save(home, orderFor(leaseId, 2));
      expect(await save(home, orderFor(leaseId, 3, again))).toMatchObject({ full: false });
      expect(await asRoot(worker, 'ls -laR /etc/passwd /etc/ssh | sha256sum; sha256sum < /etc/passwd')).toBe(outside);
    },
    LIMIT_MS,
  );

  it(
    'nonsense in the record spoils nobody but its tenant, who gets an error or an archive',
    async () => {
      const [home, leaseId] = [await anAccount(worker), newLease()];
      const first = await save(home, orderFor(leaseId, 1));
      await asOwner(worker, home, 'cd .orion-checkpoint; for f in *; do head -c 10000 /dev/urandom > "$f"; done');
      const outcome = await save(home, orderFor(leaseId, 2, first)).then(
        ({ full }) => `full ${full}`,
        (error: unknown) => messageOf(error),
      );
      expect(outcome).toMatch(/^full false$|could not be read/);
    },
    LIMIT_MS,
  );

  it(
    'a home that is too large is not stored, not even in part',
    async () => {
      const [home, leaseId] = [await anAccount(worker), newLease()];
      await asOwner(worker, home, 'head -c 9000000 /dev/urandom > much');
      await expect(save(home, orderFor(leaseId, 1, null, MIB))).rejects.toBeInstanceOf(TooLargeError);
      expect(await archivist.store.list(leaseId)).toEqual([]);
      expect(await save(home, orderFor(leaseId, 2))).toMatchObject({ full: true });
    },
    LIMIT_MS,
  );

  it(
    'files that change, grow and vanish meanwhile are no fault',
    async () => {
      const [home, leaseId] = [await anAccount(worker), newLease()];
      const busy = asOwner(
        worker,
        home,
        'mkdir d; touch begun; while [ ! -e stop ]; do echo x >> grows; touch d/$RANDOM; rm -rf d; mkdir d; done',
      );
      await eventually(() => asRoot(worker, `ls /home/${home.username}/begun`), { what: 'the tenant is at work' });
      const first = await save(home, orderFor(leaseId, 1));
      await save(home, orderFor(leaseId, 2, first));
      await asOwner(worker, home, 'touch stop');
      await busy;
    },
    LIMIT_MS,
  );

  /** A store that takes nothing until it is opened: what flows backs up to the node. */
  const gated = (): { store: Store; open: () => void } => {
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const write: Store['write'] = async (leaseId, name, source) => {
      await opened;
      await archivist.store.write(leaseId, name, source);
    };
    return { store: { ...archivist.store, write }, open: () => open() };
  };

  it(
    'a store that is slow to begin, and a node that is far away, get all of a small home',
    async () => {
      const [old, next, leaseId, { store, open }] = [await anAccount(worker), await anAccount(worker), newLease(), gated()];
      await asOwner(worker, old, 'echo little > file');
      const encrypt: Cipher['encrypt'] = async (signal) => {
        const age = await archivist.cipher.encrypt(signal);
        void age.done.then(open);
        return age;
      };
      const first = await archivist.over({ store, cipher: { ...archivist.cipher, encrypt } }).save(old, orderFor(leaseId, 1), never);
      const far = await startRelay(bench.lab, {
        at: { host: '127.0.0.1', port: 0 },
        to: { host: worker.address, port: worker.port },
        delayMs: 40,
      });
      await restore({ ...next, target: { ...next.target, address: far.host, port: far.port } }, leaseId, [first]);
      expect(await describeHome(worker, next)).toEqual(await describeHome(worker, old));
    },
    LIMIT_MS,
  );

  const tarOf = ({ uid }: Home): Promise<string> => asRoot(worker, `pgrep -u ${uid} -x tar || true`);

  it(
    'a store that stands still keeps the node waiting, not the memory filling; and what tar could not finish is not stored',
    async () => {
      const [home, leaseId, { store, open }] = [await anAccount(worker), newLease(), gated()];
      await asOwner(worker, home, 'head -c 40000000 /dev/urandom > much');
      const saved = archivist.over({ store }).save(home, orderFor(leaseId, 1), never);
      const outcome = expect(saved).rejects.toThrow(/could not be read \(killed\)/);
      await eventually(() => tarOf(home), { what: 'tar is at work' });
      await asOwner(worker, home, 'pkill -9 -x tar');
      open();
      await outcome;
      expect(await archivist.store.list(leaseId)).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'called off, it leaves nothing in the store and nothing running on the node',
    async () => {
      const [home, leaseId, { store, open }, stop] = [await anAccount(worker), newLease(), gated(), new AbortController()];
      await asOwner(worker, home, 'head -c 40000000 /dev/urandom > much');
      const outcome = expect(archivist.over({ store }).save(home, orderFor(leaseId, 1), stop.signal)).rejects.toThrow();
      await eventually(() => tarOf(home), { what: 'tar is at work' });
      stop.abort();
      open();
      await outcome;
      await eventually(async () => (await tarOf(home)) === '', { what: 'tar is gone' });
      await eventually(async () => (await archivist.store.list(leaseId)).length === 0, { what: 'nothing is stored' });
    },
    LIMIT_MS,
  );

  it(
    'of a corrupt archive what comes before the fault is put back, then what later ones have, and it is told',
    async () => {
      const [old, next, leaseId] = [await anAccount(worker), await anAccount(worker), newLease()];
      await asOwner(worker, old, 'echo early > a-file; head -c 400000 /dev/urandom > noise');
      const first = await save(old, orderFor(leaseId, 1));
      await asOwner(worker, old, 'echo late > later');
      const second = await save(old, orderFor(leaseId, 2, first));
      const file = fileOf(leaseId, /full/);
      const stored = readFileSync(file);
      stored[300_000] = (stored[300_000] ?? 0) ^ 1;
      writeFileSync(file, stored);

      const told = await restore(next, leaseId, [first, second]).catch((error: unknown) => error);
      expect(told).toBeInstanceOf(RestoreError);
      expect((told as Error).message).toContain('archive 1 is missing or corrupt');
      expect(await asOwner(worker, next, 'cat later; ls')).toContain('late');
      expect(await keysOf(next)).toBe(KEYS.trim());

      expect(await archivist.homes.areReadable({ leaseId, archives: [second] }, never)).toBe(true);
      expect(await archivist.homes.areReadable({ leaseId, archives: [first, second] }, never)).toBe(false);
      truncateSync(file, 100);
      expect(await archivist.homes.areReadable({ leaseId, archives: [first] }, never)).toBe(false);
      expect(await archivist.homes.areReadable({ leaseId: 999, archives: [first] }, never)).toBe(false);
      await expect(restore(next, leaseId, [first])).rejects.toThrow('archive 1 is missing or corrupt');
      await expect(restore(next, 999, [first])).rejects.toThrow('archive 1 is missing or corrupt');
    },
    LIMIT_MS,
  );

  it(
    'a node that has no room says so, and the archives are still whole',
    async () => {
      const [old, next, leaseId] = [await anAccount(worker), await anAccount(worker), newLease()];
      await asOwner(worker, old, 'head -c 3000000 /dev/urandom > much');
      const first = await save(old, orderFor(leaseId, 1));
      await asOwner(worker, old, 'echo late > later');
      const second = await save(old, orderFor(leaseId, 2, first));
      await asRoot(
        worker,
        `mount -t tmpfs -o size=1m,mode=700,uid=${next.uid},gid=${next.uid} tmpfs /home/${next.username} && install -d -m 700 -o ${next.uid} -g ${next.uid} /home/${next.username}/.ssh`,
      );
      const told = await restore(next, leaseId, [first, second]).catch((error: unknown) => error);
      expect(told).toBeInstanceOf(RestoreError);
      expect((told as Error).message).toMatch(/^archive 1 could not be extracted \(2: tar: /);
      expect(await archivist.homes.areReadable({ leaseId, archives: [first, second] }, never)).toBe(true);
      await asRoot(worker, `umount /home/${next.username}`);
      await restore(next, leaseId, [first, second]);
      expect(await describeHome(worker, next)).toEqual(await describeHome(worker, old));
    },
    LIMIT_MS,
  );

  it(
    'called off, the look whether archives are whole has no answer: they are not told as corrupt',
    async () => {
      const [home, leaseId, stop] = [await anAccount(worker), newLease(), new AbortController()];
      const archives = [await save(home, orderFor(leaseId, 1))];
      const read: Store['read'] = () =>
        Readable.from(
          (async function* never() {
            stop.abort();
            await new Promise(() => undefined);
            yield Buffer.alloc(0);
          })(),
        );
      await expect(
        archivist.over({ store: { ...archivist.store, read } }).areReadable({ leaseId, archives }, stop.signal),
      ).rejects.toThrow();
    },
    LIMIT_MS,
  );

  it(
    'a node whose tar dies is not told as a corrupt archive',
    async () => {
      const [old, next, leaseId] = [await anAccount(worker), await anAccount(worker), newLease()];
      await asOwner(worker, old, 'head -c 30000000 /dev/urandom > much');
      const first = await save(old, orderFor(leaseId, 1));
      const killed = killTar(next);
      const read: Store['read'] = (id, name) =>
        Readable.from(
          (async function* slowly() {
            let bytes = 0;
            for await (const chunk of archivist.store.read(id, name) as AsyncIterable<Buffer>) {
              yield chunk;
              bytes += chunk.length;
              if (bytes > 20 * MIB) {
                await killed;
              }
            }
          })(),
        );
      await expect(
        archivist.over({ store: { ...archivist.store, read } }).restore(next, { leaseId, archives: [first] }, never),
      ).rejects.toThrow(/^archive 1 could not be extracted/);
    },
    LIMIT_MS,
  );

  const killTar = async (home: Home): Promise<void> => {
    await eventually(() => tarOf(home), { what: 'tar is at work', timeoutMs: 60_000 });
    await asRoot(worker, `pkill -KILL -u ${home.uid} -x tar`);
  };

  it(
    'another host key than the pinned one gets nothing and gives nothing',
    async () => {
      const [home, leaseId] = [await anAccount(worker), newLease()];
      const other = { ...home, target: { ...home.target, hostKey: `ssh-ed25519 ${Buffer.from('another').toString('base64')}` } };
      await expect(save(other, orderFor(leaseId, 1))).rejects.toThrow('another host key');
      await expect(restore(other, leaseId, [])).rejects.toMatchObject({ name: 'HostKeyChangedError' });
    },
    LIMIT_MS,
  );
});
