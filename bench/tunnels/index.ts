import { setMaxListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { keepTunnel } from '../../src/agent/tunnel';
import { createDatabase } from '../../src/db/connection';
import { systemClock } from '../../src/lib/clock';
import type { Logger } from '../../src/lib/logger';
import { eventually, type Lab, projectDir, startProcess } from '../../test/lab';
import { fetchChallenge } from '../../test/support/machine';
import { severalNodes } from '../../test/support/builders';
import { startSystem, type System } from '../../test/support/system';
import type { Benchmark, BenchRun, Row } from '../benchmark';
import { figure, ratioOf } from '../measure';

const TUNNELS = 1000;
/** Three signs of life of each. */
const SETTLE_MS = 15_000;
/** Between one agent's first attempt and the next one's: all in one moment would measure the refusals of a herd. */
const APART_MS = 20;
const OPEN_MS = 180_000;

export const tunnels: Benchmark = {
  name: 'tunnels',
  method:
    `What the resident memory (VmRSS) of an API replica grows by when ${TUNNELS.toLocaleString('en')} agents, all in one process and by the agent's own code, open a tunnel each and leave it idle for 15 s (three signs of life), ` +
    'against the same number of idle WebSockets at a server that does nothing but keep them with `ws`. A new process on both sides for each round. Neither speaks TLS: Caddy does in front of them.',
  run: (run) => measureTunnels(run),
};

async function measureTunnels({ short, say }: BenchRun): Promise<Row[]> {
  const system = await startSystem({ apis: 1, schedulers: 0, ownDatabase: true });
  try {
    const credentials = await enrol(system);
    const [ours, bare]: [number[], number[]] = [[], []];
    for (let round = 0; round < (short ? 1 : 3); round += 1) {
      ours.push(await growthOfApi(system, credentials));
      bare.push(await growthOfBareServer(system.lab));
      say(`${ours.at(-1)?.toFixed(0) ?? ''} MB, bare ${bare.at(-1)?.toFixed(0) ?? ''} MB`);
    }
    return [
      {
        what: `${TUNNELS.toLocaleString('en')} idle tunnels, memory of their owner`,
        ours: figure(ours, 'MB'),
        against: 'as many bare WebSockets',
        base: figure(bare, 'MB'),
        ratio: ratioOf(ours, bare),
        goal: { atMost: 200, of: 'ours' },
      },
    ];
  } finally {
    await system.close();
  }
}

async function enrol({ access }: System): Promise<string[]> {
  const db = createDatabase({ ...access, poolSize: 4 });
  try {
    const credentials: string[] = [];
    while (credentials.length < TUNNELS) {
      credentials.push(...(await severalNodes(db, 50)).map(({ credential }) => credential));
    }
    return credentials;
  } finally {
    await db.destroy();
  }
}

async function growthOfApi(system: System, credentials: string[]): Promise<number> {
  const api = await system.startApi();
  const over = new AbortController();
  setMaxListeners(0, over.signal);
  try {
    return await growthOf(api.pid, async () => {
      credentials.forEach((credential, nth) => {
        const findCredential = (): Promise<string> => systemClock.sleep(nth * APART_MS, over.signal).then(() => credential);
        void keepTunnel({ ...AGENT, endpoint: api.url, findCredential, challenge: () => fetchChallenge(api.url) }, over.signal);
      });
      await eventually(
        async () => {
          const [row] = await system.sql<{ n: number }>('SELECT COUNT(*) AS n FROM tunnels');
          if (Number(row?.n) < TUNNELS) {
            throw new Error(`${row?.n ?? 0} are`);
          }
          return true;
        },
        { what: 'all tunnels are open', timeoutMs: OPEN_MS, everyMs: 500 },
      );
    });
  } finally {
    over.abort();
    await api.stop();
  }
}

const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};
/** Nobody asks for the sshd. */
const AGENT = { ca: undefined, sshd: { host: '127.0.0.1', port: 1 }, clock: systemClock, logger: silent };

async function growthOfBareServer(lab: Lab): Promise<number> {
  const server = startProcess(lab, {
    name: 'bare-owner',
    command: process.execPath,
    cwd: projectDir,
    args: ['--import', 'tsx', join(projectDir, 'bench', 'tunnels', 'bare-owner.ts')],
  });
  const port = await eventually(() => /^port (\d+)/m.exec(server.log())?.[1], { what: 'the bare server listens', timeoutMs: 20_000 });
  const sockets: WebSocket[] = [];
  try {
    return await growthOf(server.pid, async () => {
      for (let n = 0; n < TUNNELS; n += 1) {
        sockets.push(new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false }));
      }
      await eventually(() => sockets.every(({ readyState }) => readyState === WebSocket.OPEN), {
        what: 'all WebSockets are open',
        timeoutMs: OPEN_MS,
      });
    });
  } finally {
    sockets.forEach((socket) => socket.terminate());
    await server.stop();
  }
}

/** In MB, from before `open` until a while after it. */
async function growthOf(pid: number, open: () => Promise<void>): Promise<number> {
  const before = residentMegabytes(pid);
  await open();
  await systemClock.sleep(SETTLE_MS);
  return residentMegabytes(pid) - before;
}

const residentMegabytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
