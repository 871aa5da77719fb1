import { describe, expect, it } from '@jest/globals';
import { eventually } from '../../test/lab/eventually';
import { type Clock, DeadlineError, systemClock, withDeadline } from './clock';
import { createCloser } from './closer';
import { createLogger, type LogFields, silentLogger } from './logger';
import { createLoop, type Loop, type PassResult } from './loop';
import { createReadiness } from './readiness';
import { createWorkPool } from './work-pool';

/** A clock whose sleeps last until the test ends them. It records their intended durations. */
function createManualClock(): Clock & { pauses: number[]; wake(): void } {
  const sleepers = new Set<() => void>();
  const pauses: number[] = [];
  return {
    ...systemClock,
    pauses,
    wake: () => sleepers.forEach((wake) => wake()),
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        pauses.push(ms);
        const wake = (): void => {
          sleepers.delete(wake);
          resolve();
        };
        if (signal?.aborted) {
          wake();
          return;
        }
        sleepers.add(wake);
        signal?.addEventListener('abort', wake, { once: true });
      }),
  };
}

const loopOf = (clock: Clock, pass: (signal: AbortSignal) => Promise<PassResult>): Loop =>
  createLoop({ name: 'test', intervalMs: 1000, clock, logger: silentLogger, pass });
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a loop', () => {
  it('waits between passes for its interval, spread by a fifth', async () => {
    const clock = createManualClock();
    const loop = loopOf(clock, () => Promise.resolve('done'));
    loop.start();
    loop.start();
    for (let n = 1; n <= 20; n += 1) {
      await eventually(() => clock.pauses.length === n, { what: `pause ${n}` });
      clock.wake();
    }
    await loop.stop();
    clock.pauses.forEach((pause) => {
      expect(pause).toBeGreaterThanOrEqual(800);
      expect(pause).toBeLessThanOrEqual(1200);
    });
    expect(new Set(clock.pauses).size).toBeGreaterThan(10);
  });

  it('R25: never runs two passes at once, however often it is nudged', async () => {
    const clock = createManualClock();
    let running = 0;
    let most = 0;
    let passes = 0;
    const loop = loopOf(clock, async () => {
      most = Math.max(most, (running += 1));
      await tick();
      running -= 1;
      passes += 1;
      return 'done';
    });
    loop.start();
    for (let n = 0; n < 50; n += 1) {
      loop.nudge();
      await tick();
    }
    await eventually(() => passes > 5, { what: 'some passes' });
    await loop.stop();
    expect(most).toBe(1);
  });

  it('a nudge during a pass is not lost', async () => {
    const clock = createManualClock();
    let passes = 0;
    const loop = loopOf(clock, () => {
      passes += 1;
      if (passes === 1) {
        loop.nudge();
      }
      return Promise.resolve('done');
    });
    loop.start();
    await eventually(() => passes === 2, { what: 'the second pass without anybody waking the clock' });
    await loop.stop();
  });

  it('goes on at once while there is more', async () => {
    const clock = createManualClock();
    let left = 5;
    const loop = loopOf(clock, () => Promise.resolve((left -= 1) > 0 ? 'more' : 'done'));
    loop.start();
    await eventually(() => clock.pauses.length === 1, { what: 'the first pause' });
    expect(left).toBe(0);
    await loop.stop();
  });

  it('I10: backs off while passes fail, goes on afterwards, and tells of each', async () => {
    const clock = createManualClock();
    let fail = true;
    const told: string[] = [];
    const pass = (): Promise<PassResult> => (fail ? Promise.reject(new Error('no')) : Promise.resolve('done'));
    const loop = createLoop({
      name: 'test',
      intervalMs: 10,
      clock,
      logger: silentLogger,
      pass,
      onPass: (outcome) => void told.push(outcome),
    });
    loop.start();
    for (let n = 1; n <= 8; n += 1) {
      await eventually(() => clock.pauses.length === n, { what: `pause ${n}` });
      fail = n < 7;
      clock.wake();
    }
    await loop.stop();
    expect(clock.pauses[0]).toBeGreaterThanOrEqual(250);
    expect(clock.pauses[6]).toBeGreaterThanOrEqual(7500);
    expect(Math.max(...clock.pauses)).toBeLessThanOrEqual(15_000);
    expect(clock.pauses[7]).toBeLessThanOrEqual(12);
    expect(told.slice(0, 8)).toEqual([...Array<string>(7).fill('error'), 'ok']);
  });

  it('R36: stopping waits for the pass in hand and tells it to hurry', async () => {
    let hurried = false;
    let finished = false;
    const loop = loopOf(createManualClock(), async (signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      hurried = true;
      await tick();
      finished = true;
      return 'done';
    });
    loop.start();
    await loop.stop();
    expect([hurried, finished]).toEqual([true, true]);
  });

  it('a single pass throws what went wrong', async () => {
    await expect(loopOf(systemClock, () => Promise.reject(new Error('no'))).runOnce()).rejects.toThrow('no');
  });
});

describe('a pool of work', () => {
  it('has room for its size, survives a task that throws, and tells when it has room again', async () => {
    const errors: string[] = [];
    let roomAgain = 0;
    const pool = createWorkPool(
      2,
      createLogger('error', (_level, message) => void errors.push(message)),
      () => void (roomAgain += 1),
    );
    let finish: () => void = () => undefined;
    void pool.start(() => new Promise((resolve) => (finish = resolve)));
    expect(pool.room()).toBe(1);
    void pool.start(() => Promise.reject(new Error('poison')));
    expect(pool.room()).toBe(0);
    await eventually(() => pool.room() === 1, { what: 'room again' });
    expect([errors, roomAgain]).toEqual([['background task failed'], 1]);
    finish();
    await pool.idle();
    expect(pool.room()).toBe(2);
    expect(roomAgain).toBe(1);
  });

  it('is idle only when what was started meanwhile is done too', async () => {
    const pool = createWorkPool(5, silentLogger);
    let done = 0;
    void pool.start(async () => {
      await tick();
      void pool.start(async () => {
        await tick();
        done += 1;
      });
    });
    await pool.idle();
    expect(done).toBe(1);
  });
});

describe('an ordered stop', () => {
  it('R36: closes in reverse, once, past one that fails and one that hangs', async () => {
    const closed: string[] = [];
    const warnings: LogFields[] = [];
    const closer = createCloser(createLogger('warn', (_level, _message, fields) => void warnings.push(fields)));
    closer.push('first', () => void closed.push('first'));
    closer.push('hangs', () => new Promise<void>(() => undefined), 20);
    closer.push('fails', () => {
      throw new Error('no');
    });
    closer.push('last', () => void closed.push('last'));
    const [one, two] = [closer.close(), closer.close()];
    expect(one).toBe(two);
    await one;
    expect(closed).toEqual(['last', 'first']);
    expect(warnings.map(({ name }) => name)).toEqual(['fails', 'hangs']);
  });
});

describe('a deadline', () => {
  it('gives the result, or rejects in time although the work ignores its signal', async () => {
    expect(await withDeadline(1000, () => Promise.resolve(7))).toBe(7);
    await expect(withDeadline(10, () => new Promise(() => undefined))).rejects.toBeInstanceOf(DeadlineError);
    await expect(withDeadline(1000, () => Promise.reject(new Error('its own')))).rejects.toThrow('its own');
  });

  it('tells the work, and passes on an abort from above, also one from before', async () => {
    let reason: unknown;
    const listening = (signal: AbortSignal): Promise<never> =>
      new Promise(() => signal.addEventListener('abort', () => void (reason = signal.reason)));
    await expect(withDeadline(10, listening)).rejects.toBeInstanceOf(DeadlineError);
    expect(reason).toBeInstanceOf(DeadlineError);
    const parent = new AbortController();
    const cut = withDeadline(60_000, listening, parent.signal);
    parent.abort();
    await expect(cut).rejects.toThrow('aborted');
    await expect(withDeadline(60_000, () => new Promise(() => undefined), parent.signal)).rejects.toThrow('aborted');
  });

  it('a sleep ends at once when it is aborted', async () => {
    const stop = new AbortController();
    const sleeping = systemClock.sleep(60_000, stop.signal);
    stop.abort();
    await sleeping;
    await systemClock.sleep(60_000, stop.signal);
  });
});

describe('readiness', () => {
  it('R36: begins with no', () => {
    const readiness = createReadiness();
    expect(readiness.reason()).toBe('starting');
    readiness.set(null);
    expect(readiness.reason()).toBeNull();
  });

  it('R36: once stopping, for good', () => {
    const readiness = createReadiness();
    readiness.stop();
    readiness.set(null);
    expect(readiness.reason()).toBe('stopping');
    expect(readiness.stopping.aborted).toBe(true);
  });
});
