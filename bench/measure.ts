import { readFileSync } from 'node:fs';
import { systemClock } from '../src/lib/clock';
import type { Figure, Ratio } from './benchmark';

/** How long `work` takes, in milliseconds. */
export async function timeMs(work: () => Promise<unknown>): Promise<number> {
  const startedAt = systemClock.monotonicMs();
  await work();
  return systemClock.monotonicMs() - startedAt;
}

/** @param share 0.5 is the median */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)] ?? NaN;
  const above = sorted[Math.ceil(at)] ?? NaN;
  return below + (above - below) * (at - Math.floor(at));
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

export const figure = (values: readonly number[], unit: Figure['unit']): Figure => ({ value: median(values), unit });

/** The median of the ratios of neighbours: what drifts from round to round drifts under both. Both lists are in the order of the rounds. */
export function ratioOf(ours: readonly number[], base: readonly number[]): Ratio {
  const ratios = ours.map((value, round) => value / (base[round] ?? NaN));
  return { value: median(ratios), ...(ratios.length > 1 ? { quartiles: [quantile(ratios, 0.25), quantile(ratios, 0.75)] } : {}) };
}

/** Does both, the one and the other first by turns, so that neither always finds what its neighbour left behind. */
export async function byTurns<T>(round: number, sides: readonly (() => Promise<T>)[]): Promise<T[]> {
  const order = sides.map((_, at) => (at + round) % sides.length);
  const results: T[] = [];
  for (const at of order) {
    const side = sides[at];
    if (side) {
      results[at] = await side();
    }
  }
  return results;
}

/** Calls `work` `times` times, `callers` at once, and gives the calls per second. */
export async function perSecond(times: number, callers: number, work: (call: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < times) {
      await work(next++);
    }
  };
  const tookMs = await timeMs(() => Promise.all(Array.from({ length: callers }, caller)));
  return (times * 1000) / tookMs;
}

const TICKS_PER_SECOND = 100;

/** User and system time that a process has used. */
export function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
