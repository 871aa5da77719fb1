import { readFileSync } from 'node:fs';
import { systemClock } from '../src/lib/clock';
import { startProcess, type Worker } from '../test/lab';
import { startSystem } from '../test/support/system';
import type { Benchmark, BenchRun, Row } from './benchmark';
import { figure, ratioOf } from './measure';

const AGENTS = 3;

export const agentMemory: Benchmark = {
  name: 'agent-memory',
  method: `Resident memory (VmRSS) of ${AGENTS} agents after a minute of ten heartbeats a second each, against a Node process that does nothing but keep a timer.`,
  run: (run) => measureMemory(run),
};

async function measureMemory({ short, say }: BenchRun): Promise<Row[]> {
  const system = await startSystem({ apis: 1, schedulers: 0, ownDatabase: true, env: { ORION_HEARTBEAT_INTERVAL_SECONDS: '0.1' } });
  try {
    const bare = startProcess(system.lab, { name: 'bare-node', command: process.execPath, args: ['-e', 'setInterval(() => undefined, 1000)'] });
    const { workers } = await system.launchWorkers(AGENTS);
    await systemClock.sleep((short ? 15 : 60) * 1000);
    const [row] = await system.sql<{ n: number }>('SELECT COUNT(*) AS n FROM heartbeats WHERE last_heartbeat_at > UTC_TIMESTAMP(3) - INTERVAL 5 SECOND');
    if (Number(row?.n) !== AGENTS) {
      throw new Error('the agents do not call home');
    }
    const agents = await Promise.all(workers.map(agentMegabytes));
    const base = megabytesOf(readFileSync(`/proc/${bare.pid}/status`, 'utf8'));
    say(`agents ${agents.map((each) => each.toFixed(1)).join(', ')} MB, bare Node ${base.toFixed(1)} MB`);
    const bases = agents.map(() => base);
    return [{ what: 'resident memory of an agent', ours: figure(agents, 'MB'), against: 'an idle Node process', base: figure(bases, 'MB'), ratio: ratioOf(agents, bases), goal: { atMost: 60, of: 'ours' } }];
  } finally {
    await system.close();
  }
}

async function agentMegabytes(worker: Worker): Promise<number> {
  const { stdout, stderr } = await worker.exec('cat "/proc/$(pgrep -of orion-agent.js)/status"');
  if (stderr !== '') {
    throw new Error(`no agent on ${worker.name}: ${stderr}`);
  }
  return megabytesOf(stdout);
}

const megabytesOf = (status: string): number => Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
