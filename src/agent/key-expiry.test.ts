import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { createKeyExpiries, endInKeys } from './key-expiry';

const keys = (expiry: string): string => `restrict,pty,port-forwarding,expiry-time="${expiry}" ssh-ed25519 AAAA\n`;
const stateDir = mkdtempSync(join(tmpdir(), 'orion-keys-'));
afterAll(() => rmSync(stateDir, { recursive: true }));

describe('when the keys of an account expire', () => {
  it('is read as sshd reads it: UTC with a Z, local time without', () => {
    expect(endInKeys(keys('20300102030405Z'))).toBe(Date.UTC(2030, 0, 2, 3, 4, 5) / 1000 - 60);
    expect(endInKeys(keys('20300102030405'))).toBe(new Date(2030, 0, 2, 3, 4, 5).getTime() / 1000 - 60);
    expect([endInKeys(''), endInKeys('ssh-ed25519 AAAA\n')]).toEqual([undefined, undefined]);
  });

  it('is told when it is wrong twice in the same file: once may be an extension', async () => {
    mkdirSync(join(stateDir, 'keys'));
    let [now, monotonic] = [Date.UTC(2030, 0, 2, 3, 0, 0), 0];
    const expiries = createKeyExpiries(stateDir, { now: () => new Date(now), monotonicMs: () => monotonic });
    const list = (): Promise<unknown> => expiries.listAstray(['orn-a', 'orn-b']);
    const pass = (ms: number): void => {
      [now, monotonic] = [now + ms, monotonic + ms];
    };
    const write = (expiry: string): void => writeFileSync(join(stateDir, 'keys', 'orn-a'), keys(expiry));
    write('20300102030405Z');
    expect(await list()).toEqual([]);
    expiries.note([{ username: 'orn-a', remainingSeconds: 185 }]);
    pass(5000);
    expect([await list(), await list()]).toEqual([[], []]);
    // The lease is extended: first before provisioning writes the keys, then after.
    expiries.note([{ username: 'orn-a', remainingSeconds: 3780 }]);
    expect(await list()).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    write('20300102040405Z');
    expect([await list(), await list()]).toEqual([[], []]);
    // Somebody sets the clock.
    now += 7_200_000;
    expect([await list(), await list()]).toEqual([[], [{ username: 'orn-a', ends_in_seconds: 3780 - 7200 }]]);
  });
});
