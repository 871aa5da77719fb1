import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../src/lib/clock';
import { programDir, runOrThrow, startProcess, type Worker } from '../test/lab';
import { fastConstants, startSystem, type System } from '../test/support/system';
import type { Benchmark, BenchRun, Row } from './benchmark';
import { figure, ratioOf } from './measure';

const AGENTS = 3;
const PACKED = join(programDir, 'dist', 'orion-agent-linux-x64.gz');
/** On a disk: what lies in a worker itself is in memory, and whatever of a file is in memory is mapped beside what is touched of it. */
const PROGRAM = join(programDir, 'dist', 'orion-agent-linux-x64');
/** As the installer does it. */
const UNPACK = `import gzip, os, shutil, sys
with gzip.open(sys.argv[1]) as packed, open(sys.argv[2], 'wb') as program:
    shutil.copyfileobj(packed, program)
    os.fsync(program.fileno())
    os.posix_fadvise(program.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
os.chmod(sys.argv[2], 0o755)`;

export const agentMemory: Benchmark = {
  name: 'agent-memory',
  method: `Resident memory (VmRSS) of ${AGENTS} self-contained agents after a minute of ten heartbeats a second each, with their tunnels open, against the same agents run by the Node of the machine; and what a machine downloads.`,
  run: (run) => measureMemory(run),
};

async function measureMemory({ short, say }: BenchRun): Promise<Row[]> {
  await runOrThrow('node', [join(programDir, 'scripts', 'build-agent.mjs'), 'x64'], { timeoutMs: 300_000 });
  await runOrThrow('python3', ['-c', UNPACK, PACKED, PROGRAM]);
  const system = await startSystem({
    apis: 1,
    schedulers: 0,
    ownDatabase: true,
    env: fastConstants({ heartbeatIntervalSeconds: 0.1, overdueIntervals: 50 }),
  });
  try {
    const bare = startProcess(system.lab, {
      name: 'bare-node',
      command: process.execPath,
      args: ['-e', 'setInterval(() => undefined, 1000)'],
    });
    const { workers } = await system.launchWorkers(2 * AGENTS);
    await Promise.all(workers.slice(AGENTS).map(replaceAgent));
    await systemClock.sleep((short ? 15 : 60) * 1000);
    await expectCalls(system, 2 * AGENTS);
    const statuses = (half: Worker[], program: string): Promise<string[]> => Promise.all(half.map((worker) => statusOf(worker, program)));
    const [byNode, own] = [
      await statuses(workers.slice(0, AGENTS), 'orion-agent.js'),
      await statuses(workers.slice(AGENTS), `^${PROGRAM}$`),
    ];
    const figures = (half: string[], field?: string): number[] => half.map((status) => megabytesOf(status, field));
    const base = megabytesOf(readFileSync(`/proc/${bare.pid}/status`, 'utf8'));
    const [resident, residentByNode] = [figures(own), figures(byNode)];
    const [anonymous, anonymousByNode] = [figures(own, 'RssAnon'), figures(byNode, 'RssAnon')];
    say(
      `self-contained ${list(resident)} MB (${list(anonymous)} their own), by Node ${process.version} ${list(residentByNode)} MB (${list(anonymousByNode)}), bare Node ${base.toFixed(1)} MB`,
    );
    const [packed, script] = [PACKED, join(programDir, 'dist', 'orion-agent.js')].map((file) => [statSync(file).size / 1e6]) as [
      number[],
      number[],
    ];
    return [
      {
        what: 'resident memory of an agent',
        ours: figure(resident, 'MB'),
        against: 'by the Node of the machine',
        base: figure(residentByNode, 'MB'),
        ratio: ratioOf(resident, residentByNode),
        goal: { atMost: 50, of: 'ours' },
      },
      {
        what: 'of it not of files (RssAnon)',
        ours: figure(anonymous, 'MB'),
        against: 'by the Node of the machine',
        base: figure(anonymousByNode, 'MB'),
        ratio: ratioOf(anonymous, anonymousByNode),
      },
      {
        what: 'download of an agent',
        ours: figure(packed, 'MB'),
        against: 'the agent that needs Node',
        base: figure(script, 'MB'),
        ratio: ratioOf(packed, script),
        goal: { atMost: 45, of: 'ours' },
      },
    ];
  } finally {
    await system.close();
    rmSync(PROGRAM, { force: true });
  }
}

/** The worker's own agent gives way to a self-contained one with the same settings and the same credential. */
async function replaceAgent(worker: Worker): Promise<void> {
  const { code, stderr } = await worker.exec(`mv /etc/orion/agent.env /run/agent.env && { pkill -of orion-agent.js; sleep 1
    env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin $(cat /run/agent.env) setsid '${PROGRAM}' </dev/null >/run/agent.log 2>&1 & }`);
  if (code !== 0) {
    throw new Error(`${worker.name}: ${stderr}`);
  }
}

async function expectCalls(system: System, agents: number): Promise<void> {
  const [row] = await system.sql<{ n: number }>(
    'SELECT COUNT(*) AS n FROM heartbeats WHERE last_heartbeat_at > UTC_TIMESTAMP(3) - INTERVAL 5 SECOND',
  );
  if (Number(row?.n) !== agents) {
    throw new Error(`${Number(row?.n)} of ${agents} agents call home`);
  }
}

async function statusOf(worker: Worker, program: string): Promise<string> {
  const { stdout, stderr } = await worker.exec(`cat "/proc/$(pgrep -of '${program}')/status"`);
  if (stderr !== '') {
    throw new Error(`no agent on ${worker.name}: ${stderr}`);
  }
  return stdout;
}

const megabytesOf = (status: string, field = 'VmRSS'): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
const list = (figures: number[]): string => figures.map((each) => each.toFixed(1)).join(', ');
