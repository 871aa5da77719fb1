import { describe, expect, it } from '@jest/globals';
import { type Clock, systemClock } from '../../lib/clock';
import { silentLogger } from '../../lib/logger';
import { ClaimLostError, keepClaim } from './keep-claim';

const CLAIM_SECONDS = 30;

/** A clock that moves only when `goOn` is called. */
function aClock(): { clock: Clock; goOn: (seconds: number) => Promise<void>; waiting: () => number } {
  let now = 0;
  const timers = new Set<{ at: number; act: () => void }>();
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => now,
    after: (ms, act) => {
      const timer = { at: now + ms, act };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
  };
  const goOn = async (seconds: number): Promise<void> => {
    now += seconds * 1000;
    [...timers]
      .filter(({ at }) => at <= now)
      .forEach((timer) => {
        timers.delete(timer);
        timer.act();
      });
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { clock, goOn, waiting: () => timers.size };
}

/** Work that ends when `finish` is called or when its claim is lost. */
function aWork(): { work: (signal: AbortSignal) => Promise<string>; finish: () => void } {
  let finish = (): void => undefined;
  const work = (signal: AbortSignal): Promise<string> =>
    new Promise((resolve, reject) => {
      finish = () => resolve('done');
      signal.addEventListener('abort', () => reject(new Error('cut')), { once: true });
    });
  return { work, finish: () => finish() };
}

function keep(renew: () => Promise<boolean>) {
  const { clock, goOn, waiting } = aClock();
  const { work, finish } = aWork();
  const kept = keepClaim({ clock, logger: silentLogger, settings: { claimSeconds: CLAIM_SECONDS } as never }, renew, work);
  kept.catch(() => undefined);
  return { kept, goOn, waiting, finish };
}

describe('a kept claim', () => {
  it('I5: is renewed at each third of its time for as long as the work lasts, and leaves nothing behind', async () => {
    let renewals = 0;
    const { kept, goOn, waiting, finish } = keep(() => Promise.resolve((renewals += 1) > 0));
    await goOn(9);
    expect(renewals).toBe(0);
    await goOn(1);
    await goOn(10);
    expect(renewals).toBe(2);
    finish();
    expect(await kept).toBe('done');
    expect(waiting()).toBe(0);
  });

  it('I7: that another has taken cuts the work, and is not renewed again', async () => {
    const { kept, goOn, waiting } = keep(() => Promise.resolve(false));
    await goOn(10);
    await expect(kept).rejects.toThrow(ClaimLostError);
    expect(waiting()).toBe(0);
  });

  it('I7: that cannot be renewed is tried again until it expires, and then cuts the work', async () => {
    let tries = 0;
    const { kept, goOn } = keep(() => Promise.reject(new Error(`the database is away (${(tries += 1)})`)));
    await goOn(10);
    await goOn(10);
    expect(tries).toBe(2);
    expect(await Promise.race([kept.catch(() => 'cut'), Promise.resolve('at work')])).toBe('at work');
    await goOn(10);
    await expect(kept).rejects.toThrow(ClaimLostError);
  });

  it('waits for a renewal that is under way, so that nothing is written after it', async () => {
    let answer: (held: boolean) => void = () => undefined;
    const { kept, goOn, waiting, finish } = keep(() => new Promise((resolve) => (answer = resolve)));
    await goOn(10);
    finish();
    expect(await Promise.race([kept, new Promise((resolve) => setImmediate(() => resolve('not yet')))])).toBe('not yet');
    answer(true);
    expect(await kept).toBe('done');
    expect(waiting()).toBe(0);
  });
});
