import { readFileSync } from 'node:fs';
import { systemClock } from '../../src/lib/clock';
import { createPooledSessions, createProber, dialDirectly, type SshTarget } from '../../src/ssh';
import { createLab } from '../../test/lab';
import type { Benchmark, BenchRun, Row } from '../benchmark';
import { byTurns, figure, ratioOf } from '../measure';
import { measureFleet } from './big-fleet';
import { startFleet } from './start-fleet';

const TARGETS = 250;
const AT_ONCE = 16;
/** One takes a few milliseconds. */
const SWEEPS = 20;

export const keepaliveProbes: Benchmark = {
  name: 'keepalive-probes',
  method:
    `CPU of this process for sweeps over ${TARGETS} simulated machines (ssh2 servers in another process): ${SWEEPS} times one ping over the pooled session of each against one fresh login with its command each, ${AT_ONCE} at once, by turns; as a quotient of CPU times. ` +
    "Then 10,000 nodes (1,000 with the short counts) on two such servers, default settings, two schedulers that share them: once every session is open, the time of each node's last login is spread as it is after a day, and for a minute every second it is looked how many nodes were checked within the interval. CPU (fresh logins included) and resident memory are the schedulers' own, from /proc; " +
    'memory per connection is what they grew by since before there were nodes, logins and all.',
  run: (run) => measureKeepalive(run),
};

async function measureKeepalive(run: BenchRun): Promise<Row[]> {
  return [await measureSweepCpu(run), ...(await measureFleet(run))];
}

const cpuMs = async (work: () => Promise<unknown>): Promise<number> => {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
};

async function measureSweepCpu({ short, say }: BenchRun): Promise<Row> {
  const lab = createLab();
  try {
    const fleet = await startFleet(lab, '127.0.66.1');
    const targets = Array.from({ length: TARGETS }, (_, n): SshTarget => ({
      nodeId: n + 1,
      address: fleet.address,
      port: fleet.port,
      hostKey: fleet.hostKey,
    }));
    const login = { username: 'root', privateKey: readFileSync(fleet.clientKeyFile, 'utf8'), dial: dialDirectly, clock: systemClock };
    const sessions = createPooledSessions({ ...login, loginTimeoutMs: 20_000, idleMs: Infinity, max: TARGETS });
    lab.push('sessions', () => sessions.close());
    const prober = createProber({ ...login, timeoutMs: 20_000 });
    const ask = (target: SshTarget): Promise<void> => sessions.ping(target);
    const probe = async (target: SshTarget): Promise<void> => {
      const { reason } = await prober.probe(target);
      if (reason !== null) {
        throw new Error(reason);
      }
    };
    await sweep(targets, (target) => sessions.keep(target, AbortSignal.timeout(20_000)));
    const ours: number[] = [];
    const base: number[] = [];
    for (let round = 0; round <= (short ? 2 : 5); round += 1) {
      const [mine = NaN, theirs = NaN] = await byTurns(round, [
        () => cpuMs(() => sweepOften(targets, ask)),
        () => cpuMs(() => sweep(targets, probe)),
      ]);
      if (round > 0) {
        ours.push(mine / TARGETS / SWEEPS);
        base.push(theirs / TARGETS);
      }
    }
    const ratio = ratioOf(ours, base);
    say(`CPU of a ping to that of a login: ${ratio.value.toFixed(4)}`);
    return {
      what: 'CPU of a node that is asked over its pooled session',
      ours: figure(ours, 'ms'),
      against: 'a fresh login',
      base: figure(base, 'ms'),
      ratio,
      goal: { atMost: 0.02 },
    };
  } finally {
    await lab.close();
  }
}

async function sweepOften(targets: SshTarget[], work: (target: SshTarget) => Promise<void>): Promise<void> {
  for (let n = 0; n < SWEEPS; n += 1) {
    await sweep(targets, work);
  }
}

async function sweep(targets: SshTarget[], work: (target: SshTarget) => Promise<void>): Promise<void> {
  const left = [...targets];
  const worker = async (): Promise<void> => {
    for (let next = left.pop(); next; next = left.pop()) {
      await work(next);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
