import { readFileSync } from 'node:fs';
import { systemClock } from '../../../src/lib/clock';
import type { System } from '../../support/system';
import { measureLateness } from './late';

/** What was seen of the good nodes and of the scheduler while it was watched. */
export interface Watched {
  /** Changes of `last_checked_at` of the named nodes. */
  probes(): number;
  /** The longest time between two checks of one node, by the database's clock. */
  worstGapSeconds(): number;
  /**
   * Growth of the scheduler's resident memory over what it was at the beginning: the most at any moment, and the median of the last third.
   */
  growthMb(): { peak: number; settled: number };
  /** See measureLateness. */
  lateSeconds(): number;
  /** Rejects when the watching itself failed. */
  stop(): Promise<void>;
}

const EVERY_MS = 150;

const residentMb = (pid: number): number => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

export function watch(system: System, hostnames: string[]): Watched {
  const pid = system.schedulers[0]?.pid ?? NaN;
  const baseline = residentMb(pid);
  const memory: number[] = [];
  const lastSeen = new Map<string, number>();
  let probes = 0;
  let worstGap = 0;
  const lateness = measureLateness();
  const stopping = new AbortController();

  const look = async (): Promise<void> => {
    const rows = await system.sql<{ hostname: string; checked: string; now: string }>(
      `SELECT hostname, UNIX_TIMESTAMP(last_checked_at) + 0.0 AS checked, UNIX_TIMESTAMP(UTC_TIMESTAMP(3)) + 0.0 AS now FROM nodes WHERE hostname IN (${hostnames.map(() => '?').join(',')})`,
      hostnames,
    );
    for (const { hostname, checked, now } of rows) {
      const before = lastSeen.get(hostname);
      if (before !== undefined && Number(checked) > before) {
        probes += 1;
        worstGap = Math.max(worstGap, Number(checked) - before);
      }
      worstGap = Math.max(worstGap, Number(now) - Number(checked));
      lastSeen.set(hostname, Number(checked));
    }
    memory.push(residentMb(pid));
  };
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      await systemClock.sleep(EVERY_MS);
      await look();
    }
  })();
  // Reported by stop(); until then it is nobody's.
  loop.catch(() => undefined);

  return {
    probes: () => probes,
    worstGapSeconds: () => worstGap,
    lateSeconds: () => lateness.worstSeconds(),
    growthMb: () => {
      const last = memory.slice(-Math.ceil(memory.length / 3)).sort((a, b) => a - b);
      return { peak: Math.max(0, ...memory) - baseline, settled: (last[Math.floor(last.length / 2)] ?? baseline) - baseline };
    },
    stop: async () => {
      stopping.abort();
      await lateness.stop();
      await loop;
    },
  };
}
