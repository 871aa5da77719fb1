import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AccountRecord } from './account-records';
import { openContact, systemBoot, type BootMoment } from './contact';
import { planHolds } from './fence-plan';

const record = (username: string, held = false): AccountRecord => ({ username, uid: 20_001, endsAtSeconds: 0, held, ended: false });
let stateDir: string;
let boot: BootMoment;
const open = () => openContact(stateDir, () => boot);

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'orion-contact-'));
  await mkdir(join(stateDir, 'agent'));
  boot = { bootId: 'one', uptimeSeconds: 1000 };
});
afterEach(() => rm(stateDir, { recursive: true, force: true }));

describe('contact', () => {
  it('knows of no limit and no contact before the first answer', async () => {
    const contact = await open();
    expect(contact.limitSeconds()).toBe(0);
    expect(contact.judge([record('orn-a')])).toMatchObject([{ unconfirmedSeconds: Infinity, listed: false }]);
  });

  it('counts on across a restart, and never takes an account for listed that it was not told of since', async () => {
    const before = await open();
    await before.note({ limitSeconds: 15, usernames: ['orn-a'] });
    boot.uptimeSeconds += 7;
    const after = await open();
    expect(after.limitSeconds()).toBe(15);
    expect(after.judge([record('orn-a'), record('orn-new')])).toMatchObject([
      { unconfirmedSeconds: 7, listed: false },
      { unconfirmedSeconds: 7, listed: false },
    ]);
  });

  it('counts for an account from the last answer that listed it, or that came before it was there', async () => {
    const contact = await open();
    await contact.note({ limitSeconds: 15, usernames: ['orn-a'] });
    contact.judge([record('orn-a'), record('orn-new')]);
    boot.uptimeSeconds += 5;
    await contact.note({ limitSeconds: 15, usernames: ['orn-a'] });
    boot.uptimeSeconds += 1;
    expect(contact.judge([record('orn-a'), record('orn-new')])).toMatchObject([
      { unconfirmedSeconds: 1, listed: true },
      { unconfirmedSeconds: 6, listed: false },
    ]);
  });

  it('counts for an account that comes later from when it came, however long the last call is ago', async () => {
    const contact = await open();
    await contact.note({ limitSeconds: 15, usernames: [] });
    contact.judge([]);
    boot.uptimeSeconds += 60;
    expect(contact.judge([record('orn-new')])).toMatchObject([{ unconfirmedSeconds: 0, listed: false }]);
    boot.uptimeSeconds += 16;
    expect(planHolds(contact.judge([record('orn-new')]), 15).hold).toHaveLength(1);
  });

  it.each<[string, () => Promise<void> | void]>([
    ['of another boot', () => void (boot = { bootId: 'two', uptimeSeconds: 5000 })],
    ['of a later moment', () => void (boot = { bootId: 'one', uptimeSeconds: 10 })],
    ['that were cut short', () => writeFile(join(stateDir, 'agent', 'contact.json'), '{"bootId":"one","las')],
  ])('takes notes %s for none, and keeps the limit', async (_what, happen) => {
    await (await open()).note({ limitSeconds: 15, usernames: ['orn-a'] });
    await happen();
    const contact = await open();
    expect(contact.judge([record('orn-a')])).toMatchObject([{ unconfirmedSeconds: Infinity }]);
    expect(contact.limitSeconds()).toBe(15);
  });

  it('reads the clock of this machine', () => {
    expect(systemBoot().bootId).toMatch(/^[0-9a-f-]{36}$/);
    expect(systemBoot().uptimeSeconds).toBeGreaterThan(0);
  });

  it('and planHolds: held at the first look after the limit, never before, released only when listed, whatever restarts come between', async () => {
    const LIMIT = 15;
    const step = fc.record({
      seconds: fc.integer({ min: 0, max: 20 }),
      what: fc.constantFrom('look', 'look', 'listed', 'unlisted', 'restart'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        let contact = await open();
        await contact.note({ limitSeconds: LIMIT, usernames: ['orn-a'] });
        let confirmedAt = boot.uptimeSeconds;
        let held = false;
        let listed = true;
        const look = (): void => {
          const overdue = boot.uptimeSeconds - confirmedAt > LIMIT;
          const { hold, release } = planHolds(contact.judge([record('orn-a', held)]), LIMIT);
          expect(hold.length > 0).toBe(overdue || (held && !listed));
          expect(release.length > 0).toBe(held && listed && !overdue);
          held = hold.length > 0;
        };
        const answer = async (lists: boolean): Promise<void> => {
          listed = lists;
          await contact.note({ limitSeconds: LIMIT, usernames: listed ? ['orn-a'] : [] });
          confirmedAt = listed ? boot.uptimeSeconds : confirmedAt;
        };
        for (const { seconds, what } of steps) {
          boot.uptimeSeconds += seconds;
          if (what === 'restart') {
            contact = await open();
            listed = false;
          } else if (what === 'look') {
            look();
          } else {
            await answer(what === 'listed');
          }
        }
      }),
      { numRuns: 30 },
    );
  }, 30_000);
});
