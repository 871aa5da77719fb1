import { type Clock, systemClock } from '../../src/lib/clock';

/** Tells what happens, a line a step, and keeps the times that the summary shows. */
export interface Narrator {
  chapter(title: string): void;
  /** An indented line between steps. */
  note(text: string): void;
  /**
   * Does one step: says what is being waited for while it lasts, and what came of it with the seconds it took. A failure is shown and
   * thrown on.
   * @param done what to say when it is done; default: `what`
   */
  step<T>(what: string, work: () => Promise<T>, done?: (result: T) => string): Promise<T>;
  /** Puts a time into the summary. */
  measured(name: string, seconds: number): void;
  summary(): void;
  /** Says nothing from here on. */
  mute(): void;
}

const TELL_AFTER_MS = 2_000;
const MARK_WIDTH = 5;

export function createNarrator(out: NodeJS.WriteStream, clock: Clock = systemClock): Narrator {
  const startedAt = clock.monotonicMs();
  const times: { name: string; seconds: number }[] = [];
  const paint = (code: number, text: string): string => (out.isTTY && !process.env['NO_COLOR'] ? `\u001b[${code}m${text}\u001b[0m` : text);
  let muted = false;
  let steps = 0;
  let chapters = 0;
  const write = (text: string): void => {
    if (!muted) {
      out.write(text);
    }
  };
  const secondsSince = (since: number): number => (clock.monotonicMs() - since) / 1000;
  const line = (mark: string, since: number, text: string): void =>
    write(`${out.isTTY ? '\r\u001b[K' : ''}  ${mark} ${paint(2, `${secondsSince(since).toFixed(1).padStart(5)} s`)}  ${text}\n`);

  /** On a terminal at once, on a line that the outcome overwrites; in a file only when it takes its time. */
  const tellWaiting = (what: string, signal: AbortSignal): void => {
    if (out.isTTY) {
      // What wraps cannot be overwritten.
      write(`  … ${paint(2, `         ${what}`.slice(0, out.columns - MARK_WIDTH))}`);
      return;
    }
    void clock.sleep(TELL_AFTER_MS, signal).then(() => {
      if (!signal.aborted) {
        write(`  …          ${what}\n`);
      }
    });
  };

  return {
    chapter: (title) => write(`\n${paint(1, `${++chapters}. ${title}`)}\n`),
    note: (text) => write(`             ${text}\n`),
    step: async (what, work, done) => {
      const since = clock.monotonicMs();
      const waiting = new AbortController();
      tellWaiting(what, waiting.signal);
      try {
        const result = await work();
        waiting.abort();
        steps += 1;
        line(paint(32, '✓'), since, done?.(result) ?? what);
        return result;
      } catch (error) {
        waiting.abort();
        line(paint(31, '✗'), since, what);
        throw error;
      }
    },
    measured: (name, seconds) => void times.push({ name, seconds }),
    summary: () => {
      const all = [...times, { name: 'the whole demo', seconds: secondsSince(startedAt) }];
      const width = Math.max(...all.map(({ name }) => name.length));
      write(`\n${paint(1, 'Summary')}: ${steps} steps, every check held\n`);
      all.forEach(({ name, seconds }) => write(`  ${name.padEnd(width)}  ${seconds.toFixed(1).padStart(6)} s\n`));
    },
    mute: () => (muted = true),
  };
}

/** Throws unless `condition` holds. `fact` says what should have been so. */
export function check(condition: boolean, fact: string): asserts condition {
  if (!condition) {
    throw new Error(`this does not hold: ${fact}`);
  }
}

export function checkEqual(actual: unknown, expected: unknown, what: string): void {
  if (actual !== expected) {
    throw new Error(`${what} is ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`);
  }
}
