import { readFileSync } from 'node:fs';
import { systemClock } from '../src/lib/clock';
import { fingerprintOf } from '../src/lib/host-key';
import type { SshTarget } from '../src/ssh';
import type { Worker } from '../test/lab';
import { fastConstants, startSystem, type System } from '../test/support/system';
import { bareProbe } from './bare-ssh';
import type { Benchmark, BenchRun, Row } from './benchmark';
import { figure, perSecond, ratioOf } from './measure';

const WORKERS = 32;
/** Up and down again, so that what drifts meets each of them at both ends. */
const PHASES = [1, 2, 4, 4, 2, 1];

export const sweep: Benchmark = {
  name: 'sweep',
  method:
    `${WORKERS} workers (sshd alone), a probe interval of 50 ms and no keepalive probes, so that every node is always due for a login, and no process for plays, whose start would be CPU within the figures: what 1, 2 and 4 scheduler processes get done, claim and settling included, by their own \`/metrics\`, over some seconds each, in the order ${PHASES.join(', ')}. Against ${WORKERS} bare ssh2 logins at once, over and over, by one process on the same workers, before and after. ` +
    "What limits: each login costs the worker's sshd a fork and a key exchange on the very cores that the schedulers run on, so the machine is full with the first scheduler; more of them show that they share the work, not that they add speed.",
  run: (run) => measureSweep(run),
};

async function measureSweep({ short, say }: BenchRun): Promise<Row[]> {
  const system = await startSystem({
    apis: 1,
    schedulers: 0,
    ownDatabase: true,
    env: {
      ...fastConstants({
        managementUser: 'root',
        probeConcurrency: WORKERS,
        probeTimeoutSeconds: 10,
        claimSeconds: 30,
        keepaliveProbes: false,
      }),
      ORION_WARM_PLAYS: 'false',
      ORION_PROBE_INTERVAL_SECONDS: '0.05',
    },
  });
  try {
    const { workers } = await system.launchWorkers(WORKERS, { agent: false });
    const keyFile = system.env['ORION_SSH_KEY_FILE'] ?? '';
    const publicKey = readFileSync(`${keyFile}.pub`, 'utf8').trim();
    for (const worker of workers) {
      await worker.authorizeRoot(publicKey);
    }
    const who = { username: 'root', privateKey: readFileSync(keyFile, 'utf8') };
    const bareRate = (): Promise<number> =>
      perSecond(short ? 320 : 960, WORKERS, (call) => bareProbe(targetOf(workers[call % WORKERS] as Worker), who));
    const bare = [await bareRate()];
    await enrol(system, workers);
    const rates = new Map<number, number[]>();
    for (const schedulers of short ? PHASES.slice(0, 3) : PHASES) {
      const rate = await sweepWith(system, schedulers, short ? 4 : 8);
      rates.set(schedulers, [...(rates.get(schedulers) ?? []), rate]);
      say(`${schedulers} schedulers: ${rate.toFixed(0)} probes/s`);
    }
    await scale(system, 0);
    bare.push(await bareRate());
    return rowsOf(rates, bare);
  } finally {
    await system.close();
  }
}

function rowsOf(rates: Map<number, number[]>, bare: number[]): Row[] {
  const one = rates.get(1) ?? [];
  const row = (schedulers: number, against: string, base: number[]): Row => {
    const ours = rates.get(schedulers) ?? [];
    return {
      what: `nodes probed by ${schedulers} scheduler${schedulers === 1 ? '' : 's'}`,
      ours: figure(ours, '/s'),
      against,
      base: figure(base, '/s'),
      ratio: ratioOf(ours, base),
    };
  };
  return [row(1, 'bare ssh2 logins, 32 at once', bare), row(2, '1 scheduler', one), row(4, '1 scheduler', one)];
}

const targetOf = ({ address, port, hostKey }: Worker): SshTarget => ({ nodeId: 0, address, port, hostKey });

/** As if they had registered; their agents would be one more load. */
async function enrol(system: System, workers: Worker[]): Promise<void> {
  for (const { name, address, port, hostKey } of workers) {
    await system.sql(
      `INSERT INTO nodes (hostname, address, ssh_port, host_key, host_key_fingerprint, status, dirty, labels, facts, next_uid, probe_due_at)
       VALUES (?, ?, ?, ?, ?, 'alive', 0, '{}', '{}', 70000, UTC_TIMESTAMP(3))`,
      [name, address, port, hostKey, fingerprintOf(hostKey)],
    );
  }
}

async function scale(system: System, schedulers: number): Promise<void> {
  while (system.schedulers.length > schedulers) {
    await system.schedulers.pop()?.stop();
  }
  await Promise.all(Array.from({ length: schedulers - system.schedulers.length }, () => system.startScheduler()));
}

const SETTLE_MS = 2_000;

/** Probes per second by so many schedulers together. Throws when some failed: that would be another thing that is measured. */
async function sweepWith(system: System, schedulers: number, seconds: number): Promise<number> {
  await scale(system, schedulers);
  await systemClock.sleep(SETTLE_MS);
  const before = await countProbes(system);
  const startedAt = systemClock.monotonicMs();
  await systemClock.sleep(seconds * 1000);
  const after = await countProbes(system);
  const took = (systemClock.monotonicMs() - startedAt) / 1000;
  if (after.failed > before.failed) {
    throw new Error(`${after.failed - before.failed} probes failed`);
  }
  return (after.ok - before.ok) / took;
}

async function countProbes(system: System): Promise<{ ok: number; failed: number }> {
  const texts = await Promise.all(system.schedulers.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()));
  const sum = (outcome: string): number =>
    texts.reduce(
      (total, text) => total + Number(new RegExp(`^orion_probes_total\\{outcome="${outcome}"\\} (\\d+)`, 'm').exec(text)?.[1] ?? 0),
      0,
    );
  return { ok: sum('ok'), failed: sum('failed') + sum('host_key_changed') };
}
