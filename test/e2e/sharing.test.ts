import { describe, expect, it } from '@jest/globals';
import { eventually } from '../lab';
import { useFleet, useSystem } from '../support/hooks';
import { fastConstants } from '../support/system';

const NODES = 12;
const INTERVAL_SECONDS = 2;

describe('two schedulers share the work', () => {
  // Over pooled sessions a node is asked well before its probe would be due: see keepalive-probes.test.ts.
  const env = {
    ...fastConstants({ keepaliveProbes: false }),
    ORION_PROBE_INTERVAL_SECONDS: String(INTERVAL_SECONDS),
    ORION_PLAY_CONCURRENCY: '2',
  };
  const system = useSystem({ apis: 1, schedulers: 2, env });
  useFleet(system, NODES);

  const counter = async (pattern: RegExp): Promise<number[]> =>
    Promise.all(system.schedulers.map(async ({ url }) => Number(pattern.exec(await (await fetch(`${url}/metrics`)).text())?.[1] ?? 0)));
  const probes = (): Promise<number[]> => counter(/^orion_probes_total\{outcome="ok"\} (\d+)/m);
  const clock = async (): Promise<number> =>
    Number((await system.sql<{ s: string }>('SELECT UNIX_TIMESTAMP(UTC_TIMESTAMP(3)) AS s'))[0]?.s);

  it('R25: both probe, both wipe, and no node is probed more often than its interval says', async () => {
    expect(Math.min(...(await counter(/^orion_wipes_total\{result="ok"\} (\d+)/m)))).toBeGreaterThan(0);
    expect((await counter(/^orion_wipes_total\{result="lost"\} (\d+)/m)).reduce((a, b) => a + b, 0)).toBe(0);

    const before = await probes();
    const began = await clock();
    const last = new Map<number, number>();
    const gaps: number[] = [];
    await eventually(
      async () => {
        for (const { id, at } of await system.sql<{ id: number; at: string }>(
          'SELECT id, UNIX_TIMESTAMP(last_checked_at) AS at FROM nodes',
        )) {
          const previous = last.get(id);
          if (previous !== undefined && previous !== Number(at)) {
            gaps.push(Number(at) - previous);
          }
          last.set(id, Number(at));
        }
        return (await clock()) - began > 6 * INTERVAL_SECONDS;
      },
      { what: 'six rounds of probes', timeoutMs: 60_000, everyMs: 50 },
    );
    const done = (await probes()).map((count, i) => count - (before[i] ?? 0));
    const seconds = (await clock()) - began;

    expect(Math.min(...done)).toBeGreaterThan(0);
    const total = done.reduce((a, b) => a + b, 0);
    // Each node once an interval, and one more for where the window happened to be cut.
    expect(total).toBeLessThanOrEqual(NODES * (seconds / INTERVAL_SECONDS + 1));
    expect(total).toBeGreaterThanOrEqual(NODES * (seconds / INTERVAL_SECONDS) * 0.6);
    expect(gaps.length).toBeGreaterThan(NODES * 3);
    // A check is dated when it is completed, a few milliseconds before or after its neighbour's moment in the round.
    expect(Math.min(...gaps)).toBeGreaterThan(INTERVAL_SECONDS * 0.9);
  }, 90_000);

  it('I1–I10: after all this the checker finds nothing wrong', async () => {
    expect(await system.violations()).toEqual([]);
  });
});
