import { systemClock } from '../src/lib/clock';
import type { Worker } from '../test/lab';
import { openTerminal, throughGateway } from '../test/support/gateway-client';
import { type RunningGateway, startSystem, type System } from '../test/support/system';
import type { Tenant } from '../test/support/tenant';
import type { Benchmark, BenchRun, Row } from './benchmark';
import { figure, ratioOf } from './measure';
import { DEFAULT_SETTINGS } from './settings';

interface Setting {
  name: string;
  kills: { long: number; short: number };
  env: Record<string, string>;
  goalSeconds: number;
}

const SETTINGS: Setting[] = [
  { name: 'default settings', kills: { long: 5, short: 1 }, env: DEFAULT_SETTINGS, goalSeconds: 10 },
  { name: 'fast settings (1 s)', kills: { long: 5, short: 1 }, env: {}, goalSeconds: 5 },
];

export const prompt: Benchmark = {
  name: 'prompt',
  method:
    "OpenSSH with a terminal is logged in to a lease through the gateway; its worker is killed outright; until that same terminal shows the shell's prompt on the next worker. Against a rent to its account, which each kill is preceded by: the account on the next worker is made in the same way. " +
    "One API, scheduler and gateway, enough free nodes. Default settings: a probe every 30 s, every 2 s once one has failed, dead after 3; the gateway's broken connection asks for the first one. Fast settings: 1 s and 0.8 s.",
  run: (run) => measurePrompts(run),
};

async function measurePrompts({ short, say }: BenchRun): Promise<Row[]> {
  const rows: Row[] = [];
  for (const setting of SETTINGS) {
    const { prompts, rents } = await killAll(setting, short ? setting.kills.short : setting.kills.long, say);
    rows.push({
      what: `worker killed to a prompt on the next, ${setting.name}`,
      ours: figure(prompts, 's'),
      against: 'a rent to its account',
      base: figure(rents, 's'),
      ratio: ratioOf(prompts, rents),
      goal: { atMost: setting.goalSeconds, of: 'ours' },
    });
  }
  return rows;
}

interface Stage {
  system: System;
  gateway: RunningGateway;
  tenant: Tenant;
  workers: Worker[];
}

async function killAll({ name, env }: Setting, kills: number, say: BenchRun['say']): Promise<{ prompts: number[]; rents: number[] }> {
  const system = await startSystem({ apis: 1, schedulers: 1, ownDatabase: true, gateway: true, env });
  try {
    const gateway = await system.startGateway();
    // The circuit breaker must not see most of them fail.
    const nodes = 2 * kills + 2;
    const { workers } = await system.launchWorkers(nodes);
    const stage = { system, gateway, workers, tenant: await system.tenant() };
    const [prompts, rents]: [number[], number[]] = [[], []];
    for (let kill = 0; kill < kills; kill += 1) {
      await system.untilFree(nodes - kill, 180_000);
      const { promptSeconds, rentSeconds, steps } = await killOne(stage);
      prompts.push(promptSeconds);
      rents.push(rentSeconds);
      say(`${name}: ${promptSeconds.toFixed(1)} s (${steps}), rent ${rentSeconds.toFixed(1)} s`);
    }
    return { prompts, rents };
  } finally {
    await system.close();
  }
}

async function killOne({
  system,
  gateway,
  tenant,
  workers,
}: Stage): Promise<{ promptSeconds: number; rentSeconds: number; steps: string }> {
  const rentedAt = systemClock.monotonicMs();
  const lease = await tenant.rentOne({ seconds: 3600 });
  const rentSeconds = (systemClock.monotonicMs() - rentedAt) / 1000;
  const terminal = openTerminal(throughGateway(tenant, lease, gateway));
  try {
    await terminal.untilShown(/\$ $/);
    const victim = workers.find((worker) => worker.name === lease.node?.hostname);
    const [{ now } = { now: '' }] = await system.sql<{ now: string }>('SELECT CAST(UTC_TIMESTAMP(3) AS CHAR) AS now');
    const startedAt = systemClock.monotonicMs();
    await victim?.kill();
    await terminal.untilShown(/you are on \S+ now[\s\S]*\$ $/, 120_000);
    const promptSeconds = (systemClock.monotonicMs() - startedAt) / 1000;
    return { promptSeconds, rentSeconds, steps: await tellSteps(system, lease.id, now) };
  } finally {
    terminal.close();
    await tenant.release(lease.id);
  }
}

/** Where the time went, by the events of the lease and of its nodes. */
async function tellSteps(system: System, leaseId: number, since: string): Promise<string> {
  const steps = await system.sql<{ type: string; seconds: string }>(
    `SELECT type, TIMESTAMPDIFF(MICROSECOND, ?, at) / 1000000 AS seconds FROM events
      WHERE at >= ? AND (lease_id = ? OR type IN ('node.suspect', 'node.dead')) ORDER BY id`,
    [since, since, leaseId],
  );
  return steps.map(({ type, seconds }) => `${type} ${Number(seconds).toFixed(1)}`).join(', ');
}
