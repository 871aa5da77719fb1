import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createDatabase } from '../../src/db/connection';
import { authorizeCall } from '../../src/lib/call-mac';
import { sha256 } from '../../src/lib/ids';
import type { HeartbeatAnswer } from '../../src/contract/workers';
import { createMigrator } from '../../src/db/migrate';
import { createLab, type DatabaseAccess, eventually, type Lab, projectDir, startMariaDb, startProcess } from '../../test/lab';
import { severalNodes } from '../../test/support/builders';
import { migrationsDir } from '../../test/support/database';
import type { Benchmark, BenchRun, Figure, Row } from '../benchmark';
import { byTurns, cpuSecondsOf, figure, ratioOf } from '../measure';
import { startRole } from '../start-role';
import { loadWith } from './load';

const NODES = 4000;
const POOL_SIZE = 10;
/** How many requests a round has on either side; the shorter of two rounds takes about as long as the other. */
const LOADS = [
  { connections: 1, ours: 50, base: 300 },
  { connections: 32, ours: 1500, base: 1500 },
  { connections: 512, ours: 20_000, base: 4000 },
];

export const heartbeat: Benchmark = {
  name: 'heartbeat',
  method:
    `\`POST /api/workers/heartbeat\` of one API process against an Express handler that parses the same body and does one UPSERT with mysql2, the node found by the hash of the credential; both with a pool of ${POOL_SIZE}, on the same MariaDB (every commit flushed), ${NODES.toLocaleString('en')} nodes in turn, the same small client over kept connections in a third process, every answer after the commit. ` +
    'Rounds of 50 to 20,000 requests, by turns. Orion lets heartbeats wait for others for 50 ms, which is what one connection alone and 32 see, and reads status and accounts of each node for the answer. Database time: user and system time of mariadbd from `/proc`, over a round.',
  run: (run) => measureHeartbeats(run),
};

interface Round {
  perSecond: number;
  /** Of the database, for each. */
  cpuMicroseconds: number;
}

async function measureHeartbeats({ short, say }: BenchRun): Promise<Row[]> {
  const lab = createLab();
  try {
    const mariadb = await startMariaDb(lab, { durable: true });
    const access = await mariadb.createDatabase();
    const credentials = await enrol(lab, access);
    const ours = {
      url: (await startRole(lab, 'api', access, { env: { ORION_DB_POOL: String(POOL_SIZE) } })).url,
      path: '/api/workers/heartbeat',
    };
    const bare = { url: await startBare(lab, access), path: '/heartbeat' };
    const vitals = { load1: 0.5, memory_free_mb: 1024, disk_free_mb: 20_000 };
    // As agents call: each names the management statement that it has, and signs. Signed before the load, since each agent does it on its
    // own machine.
    const body = JSON.stringify({ ...vitals, statement: await findStatement(ours.url + ours.path, credentials[0] ?? '') });
    const calls = new Map(
      credentials.map((credential) => [
        credential,
        authorizeCall(credential, { method: 'POST', path: ours.path, nonce: randomBytes(16).toString('base64url'), body }),
      ]),
    );
    const authorize = (credential: string): string => calls.get(credential) ?? '';
    const measure = async (at: typeof ours, load: { connections: number; requests: number }): Promise<Round> => {
      const before = cpuSecondsOf(mariadb.process().pid);
      const perSecond = await loadWith({ ...at, ...load, credentials, ...(at === ours ? { authorize } : {}), body, status: 200 });
      return { perSecond, cpuMicroseconds: ((cpuSecondsOf(mariadb.process().pid) - before) * 1e6) / load.requests };
    };
    const rows: Row[] = [];
    for (const { connections, ...requests } of LOADS) {
      const rounds: [Round[], Round[]] = [[], []];
      for (let round = 0; round <= (short ? 2 : 7); round += 1) {
        const sides = [
          () => measure(ours, { connections, requests: requests.ours }),
          () => measure(bare, { connections, requests: requests.base }),
        ];
        const [mine, base] = await byTurns(round, sides);
        if (round > 0 && mine && base) {
          rounds[0].push(mine);
          rounds[1].push(base);
        }
      }
      const found = toRows(connections, ...rounds);
      found.forEach(({ what, ratio }) => say(`${what}: ${ratio.value.toFixed(2)}`));
      rows.push(...found);
    }
    return rows;
  } finally {
    await lab.close();
  }
}

/** SHA-256 of the management statement, as agents send it. */
async function findStatement(url: string, credential: string): Promise<string> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${credential}` },
    body: '{}',
  });
  const { management } = (await answer.json()) as HeartbeatAnswer;
  if (!management) {
    throw new Error(`no management statement in the answer, which has status ${answer.status}`);
  }
  return sha256(management.statement.text);
}

function toRows(connections: number, ours: Round[], base: Round[]): Row[] {
  const many = connections > 100;
  const row = (what: string, unit: Figure['unit'], valueOf: (round: Round) => number): Row => {
    const [mine, theirs] = [ours.map(valueOf), base.map(valueOf)];
    return {
      what: `${what}, ${connections} connection${connections === 1 ? '' : 's'}`,
      ours: figure(mine, unit),
      against: 'bare Express and one UPSERT',
      base: figure(theirs, unit),
      ratio: ratioOf(mine, theirs),
    };
  };
  const rate = row('heartbeats', '/s', ({ perSecond }) => perSecond);
  return many
    ? [
        { ...rate, goal: { atLeast: 5 } },
        { ...row('database time of one', 'µs', ({ cpuMicroseconds }) => cpuMicroseconds), goal: { atMost: 0.1 } },
      ]
    : [rate];
}

/** Nodes in an empty database; their credentials. */
async function enrol(lab: Lab, access: DatabaseAccess): Promise<string[]> {
  const db = createDatabase({ ...access, poolSize: 4 });
  lab.push('database', () => db.destroy());
  await createMigrator(db, migrationsDir).up();
  return (await severalNodes(db, NODES)).map(({ credential }) => credential);
}

async function startBare(lab: Lab, access: DatabaseAccess): Promise<string> {
  const server = startProcess(lab, {
    name: 'bare-server',
    command: process.execPath,
    cwd: projectDir,
    args: ['--import', 'tsx', join(projectDir, 'bench', 'heartbeat', 'bare-server.ts'), JSON.stringify({ ...access, poolSize: POOL_SIZE })],
  });
  const port = await eventually(() => /^port (\d+)/m.exec(server.log())?.[1], { what: 'the bare server listens', timeoutMs: 20_000 });
  return `http://127.0.0.1:${port}`;
}
