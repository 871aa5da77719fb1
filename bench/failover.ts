import { systemClock } from '../src/lib/clock';
import { startSystem } from '../test/support/system';
import type { Benchmark, BenchRun, Row } from './benchmark';
import { figure, ratioOf } from './measure';
import { DEFAULT_SETTINGS } from './settings';

interface Setting {
  name: string;
  intervalSeconds: number;
  kills: { long: number; short: number };
  goalSeconds: number;
  env: Record<string, string>;
}

const SETTINGS: Setting[] = [
  { name: 'default settings (30 s)', intervalSeconds: 30, kills: { long: 3, short: 1 }, goalSeconds: 10, env: DEFAULT_SETTINGS },
  { name: 'fast settings (1 s)', intervalSeconds: 1, kills: { long: 6, short: 2 }, goalSeconds: 3, env: {} },
];

export const failover: Benchmark = {
  name: 'failover',
  method:
    "A worker with a lease is killed outright; until the tenant's key has run `true` on the next one (the lease is asked for every 50 ms), as a multiple of the probe interval. One API, one scheduler, enough free nodes. Default settings: a probe every 30 s, every 2 s once one has failed, dead after 3 failures; the end of the connection that the scheduler keeps to the worker asks for the first one at once. " +
    'Fast settings: a probe every 1 s, every 0.8 s once one has failed, dead after 3. Plays run in prefork workers.',
  run: (run) => measureFailover(run),
};

async function measureFailover({ short, say }: BenchRun): Promise<Row[]> {
  const rows: Row[] = [];
  for (const setting of SETTINGS) {
    const kills = short ? setting.kills.short : setting.kills.long;
    const seconds = await killAll(setting, kills, say);
    const intervals = seconds.map(() => setting.intervalSeconds);
    rows.push({
      what: `worker killed to working login elsewhere, ${setting.name}`,
      ours: figure(seconds, 's'),
      against: 'the probe interval',
      base: figure(intervals, 's'),
      ratio: ratioOf(seconds, intervals),
      goal: { atMost: setting.goalSeconds, of: 'ours' },
    });
  }
  return rows;
}

async function killAll({ name, env }: Setting, kills: number, say: BenchRun['say']): Promise<number[]> {
  const system = await startSystem({ apis: 1, schedulers: 1, ownDatabase: true, env });
  try {
    // The circuit breaker must not see most of them fail.
    const nodes = 2 * kills + 2;
    const { workers } = await system.launchWorkers(nodes);
    await system.untilFree(nodes, 180_000);
    const tenant = await system.tenant();
    let lease = await tenant.rentOne({ seconds: 3600 });
    const seconds: number[] = [];
    for (let kill = 1; kill <= kills; kill += 1) {
      const { node, generation } = lease;
      const victim = workers.find((worker) => worker.name === node?.hostname);
      if (!victim) {
        throw new Error('the lease is on no worker');
      }
      const startedAt = systemClock.monotonicMs();
      await victim.kill();
      lease = await tenant.untilLease(lease.id, 'has moved', (now) => now.state === 'active' && now.generation > generation, 180_000);
      const { code, stderr } = await tenant.login(lease, 'true');
      if (code !== 0) {
        throw new Error(`no login: ${stderr}`);
      }
      seconds.push((systemClock.monotonicMs() - startedAt) / 1000);
      say(`${name}: ${seconds.at(-1)?.toFixed(1) ?? ''} s`);
    }
    return seconds;
  } finally {
    await system.close();
  }
}
