import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../lib/logger';
import { type Clock, systemClock } from '../lib/clock';
import { type AccountRecords, createAccountRecords, parseRecord, type AccountRecord } from './account-records';
import { openContact } from './contact';
import { createCredentialStore } from './credential-store';
import { createFence } from './fence';

const NOW = 1_800_000_000;
let stateDir: string;

const write = async (username: string, extra: object = {}): Promise<void> => {
  const record = { username, uid: 20_001, lease_id: 1, generation: 1, ends_at: NOW + 100, ...extra };
  await writeFile(join(stateDir, 'accounts', `${username}.json`), JSON.stringify(record), { mode: 0o600 });
};
const read = async (username: string): Promise<unknown> =>
  JSON.parse(await readFile(join(stateDir, 'accounts', `${username}.json`), 'utf8')) as unknown;

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'orion-records-'));
  await mkdir(join(stateDir, 'accounts'));
  await mkdir(join(stateDir, 'agent'));
});
afterEach(() => rm(stateDir, { recursive: true, force: true }));

describe('account records', () => {
  it('change only what is asked and keep what provisioning wrote', async () => {
    await write('orn-a', { note: 'kept' });
    const records = createAccountRecords(stateDir);
    await Promise.all([records.update('orn-a', { ends_at: NOW + 5 }), records.update('orn-a', { ended: true })]);
    expect(await read('orn-a')).toEqual({
      username: 'orn-a',
      uid: 20_001,
      lease_id: 1,
      generation: 1,
      ends_at: NOW + 5,
      note: 'kept',
      ended: true,
    });
  });

  it('are not brought back once removed', async () => {
    const records = createAccountRecords(stateDir);
    await records.update('orn-gone', { ended: true });
    expect(await readdir(join(stateDir, 'accounts'))).toEqual([]);
  });

  it('do not hide behind a broken neighbour', async () => {
    await write('orn-a');
    await writeFile(join(stateDir, 'accounts', 'orn-b.json'), '{');
    await mkdir(join(stateDir, 'accounts', 'orn-c.json'));
    const { records, faulty } = await createAccountRecords(stateDir).list();
    expect(records.map((record) => record.username)).toEqual(['orn-a']);
    expect(faulty.sort()).toEqual(['orn-b.json', 'orn-c.json']);
  });

  it.each([
    ['root', { username: 'orn-a', uid: 0, ends_at: 1 }],
    ['a system account', { username: 'orn-a', uid: 999, ends_at: 1 }],
    ['everybody', { username: 'orn-a', uid: 4_294_967_295, ends_at: 1 }],
    ['another name', { username: 'orn-b', uid: 20_001, ends_at: 1 }],
    ['no end', { username: 'orn-a', uid: 20_001 }],
    ['null', null],
  ])('that name %s are not acted on', (_what, record) => {
    expect(parseRecord(JSON.stringify(record), 'orn-a.json')).toBeNull();
  });
});

describe('the fence', () => {
  let monotonicMs = 0;
  let boot = { bootId: 'one', uptimeSeconds: 1000 };
  const clock: Clock = {
    ...systemClock,
    now: () => new Date(NOW * 1000 + monotonicMs),
    monotonicMs: () => monotonicMs,
    sleep: () => Promise.resolve(),
  };
  const openFence = async (end: (record: AccountRecord) => Promise<void>, wrap = (records: AccountRecords): AccountRecords => records) => {
    const acted: string[] = [];
    const records = wrap(createAccountRecords(stateDir));
    const note =
      (what: string, held: boolean) =>
      async ({ username }: AccountRecord): Promise<void> => {
        acted.push(`${what} ${username}`);
        await records.update(username, { held });
      };
    const contact = await openContact(stateDir, () => boot);
    const acts = { hold: note('hold', true), release: note('release', false), end };
    return {
      acted,
      fence: createFence({ records, contact, acts, clock, logger: silentLogger, graceSeconds: 10, onNewAccount: () => undefined }),
    };
  };
  const open = async () => {
    monotonicMs = 0;
    const records = createAccountRecords(stateDir);
    const ended: string[] = [];
    const endAccount = async (record: AccountRecord): Promise<void> => {
      if (record.username === 'orn-stuck') {
        throw new Error('processes survive');
      }
      ended.push(record.username);
      await records.update(record.username, { ended: true });
    };
    return { ended, ...(await openFence(endAccount)) };
  };

  it('follows the remaining time of the control plane, for known accounts that it has not ended', async () => {
    await write('orn-a');
    await write('orn-b', { ended: true });
    const { fence } = await open();
    const accounts = ['orn-a', 'orn-b', 'orn-c'].map((username) => ({ username, remainingSeconds: 500 }));
    await fence.noteContact({ heartbeatIntervalSeconds: 1, contactLimitSeconds: 0, accounts });
    expect(await read('orn-a')).toMatchObject({ ends_at: NOW + 500 });
    expect(await read('orn-b')).toMatchObject({ ends_at: NOW + 100 });
    expect((await readdir(join(stateDir, 'accounts'))).sort()).toEqual(['orn-a.json', 'orn-b.json']);
  });

  it('confirms an account although its new end cannot be written: a full disk holds nobody', async () => {
    await write('orn-a');
    boot = { bootId: 'one', uptimeSeconds: 1000 };
    const { acted, fence } = await openFence(
      () => Promise.resolve(),
      (records) => ({ ...records, update: () => Promise.reject(new Error('ENOSPC')) }),
    );
    const confirm = (remainingSeconds: number): Promise<void> =>
      fence.noteContact({ heartbeatIntervalSeconds: 1, contactLimitSeconds: 15, accounts: [{ username: 'orn-a', remainingSeconds }] });
    await confirm(100);
    boot = { ...boot, uptimeSeconds: 1014 };
    await expect(confirm(500)).rejects.toThrow('ENOSPC');
    boot = { ...boot, uptimeSeconds: 1028 };
    await fence.runOnce();
    expect(acted).toEqual([]);
  });

  it('ends an account once, after the end and the grace, and tells of it', async () => {
    await write('orn-a');
    const { ended, fence } = await open();
    await fence.runOnce();
    monotonicMs = 109_000;
    await fence.runOnce();
    expect(ended).toEqual([]);
    monotonicMs = 111_000;
    await fence.runOnce();
    await fence.runOnce();
    expect(ended).toEqual(['orn-a']);
    expect(await fence.listEnded()).toEqual(['orn-a']);
  });

  it('leaves it to the control plane while that is heard', async () => {
    await write('orn-a');
    const { ended, fence } = await open();
    monotonicMs = 200_000;
    await fence.noteContact({ heartbeatIntervalSeconds: 1, contactLimitSeconds: 0, accounts: [] });
    monotonicMs = 205_000;
    await fence.runOnce();
    expect(ended).toEqual([]);
  });

  it('stops in the middle when the control plane comes back', async () => {
    await write('orn-a', { ends_at: NOW - 100 });
    await write('orn-b', { ends_at: NOW - 100 });
    monotonicMs = 0;
    const ended: string[] = [];
    const endAccount = async ({ username }: AccountRecord): Promise<void> => {
      ended.push(username);
      monotonicMs += 1000;
      await fence.noteContact({ heartbeatIntervalSeconds: 1, contactLimitSeconds: 0, accounts: [] });
    };
    const { fence } = await openFence(endAccount);
    monotonicMs = 200_000;
    await fence.runOnce();
    expect(ended).toHaveLength(1);
  });

  it('does not let one account that cannot be ended keep the others alive', async () => {
    await write('orn-stuck', { ends_at: NOW - 100 });
    await write('orn-z', { ends_at: NOW - 100 });
    const { ended, fence } = await open();
    monotonicMs = 200_000;
    await expect(fence.runOnce()).rejects.toThrow('could not be held, released or ended');
    expect(ended).toEqual(['orn-z']);
  });

  it('holds what is not confirmed in time and releases what is listed again, after a restart as well', async () => {
    const contact = (...usernames: string[]) => ({
      heartbeatIntervalSeconds: 5,
      contactLimitSeconds: 15,
      accounts: usernames.map((username) => ({ username, remainingSeconds: 100 })),
    });
    await write('orn-a');
    await write('orn-b');
    const first = await open();
    await first.fence.runOnce();
    await first.fence.noteContact(contact('orn-a', 'orn-b'));
    boot.uptimeSeconds += 14;
    await first.fence.noteContact(contact('orn-a'));
    boot.uptimeSeconds += 2;
    await first.fence.runOnce();
    expect(first.acted).toEqual(['hold orn-b']);

    const second = await open();
    boot.uptimeSeconds += 14;
    await second.fence.runOnce();
    expect(second.acted.sort()).toEqual(['hold orn-a', 'hold orn-b']);
    expect(await read('orn-a')).toMatchObject({ held: true, ends_at: NOW + 100 });
    await second.fence.noteContact(contact('orn-a'));
    second.acted.length = 0;
    await second.fence.runOnce();
    expect(second.acted.sort()).toEqual(['hold orn-b', 'release orn-a']);

    boot = { bootId: 'two', uptimeSeconds: 5000 };
    const third = await open();
    await third.fence.runOnce();
    expect(third.acted.sort()).toEqual(['hold orn-a', 'hold orn-b']);
  });
});

describe('the credential store', () => {
  it('gives back what was saved, from a file for root alone, and forgets', async () => {
    const store = createCredentialStore(stateDir, silentLogger);
    expect(await store.find()).toBeUndefined();
    await store.save('orion_node_first');
    await store.save('orion_node_second');
    expect(await store.find()).toBe('orion_node_second');
    expect(await readdir(join(stateDir, 'agent'))).toEqual(['credential']);
    await store.clear();
    expect(await store.find()).toBeUndefined();
  });
});
