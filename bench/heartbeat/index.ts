import { join } from 'node:path';
import { createDatabase } from '../../src/db/connection';
import { createMigrator } from '../../src/db/migrate';
import { createLab, type DatabaseAccess, eventually, freePort, generateSshKeyPair, type Lab, projectDir, startMariaDb, startOrion, startProcess } from '../../test/lab';
import { severalNodes } from '../../test/support/builders';
import { migrationsDir } from '../../test/support/database';
import type { Benchmark, BenchRun, Row } from '../benchmark';
import { byTurns, figure, ratioOf } from '../measure';
import { loadWith } from './load';

const NODES = 400;
const POOL_SIZE = 10;
const CONNECTIONS = [1, 32];

export const heartbeat: Benchmark = {
  name: 'heartbeat',
  method:
    `\`POST /api/workers/heartbeat\` of one API process against an Express handler that parses the same body and does the one UPDATE with mysql2, found by the hash of the credential; both with a pool of ${POOL_SIZE}, on the same MariaDB (every commit flushed), ${NODES} nodes in turn, the same small client over kept connections in a third process. Rounds of 300 (1 connection) or 1,500, by turns. ` +
    'Orion looks the node up by its credential, writes, and reads back its status and what accounts it should have.',
  run: (run) => measureHeartbeats(run),
};

async function measureHeartbeats({ short, say }: BenchRun): Promise<Row[]> {
  const lab = createLab();
  try {
    const mariadb = await startMariaDb(lab, { durable: true });
    const access = await mariadb.createDatabase();
    const credentials = await enrol(lab, access);
    const ours = { url: await startApi(lab, access), path: '/api/workers/heartbeat' };
    const bare = { url: await startBare(lab, access), path: '/heartbeat' };
    const body = JSON.stringify({ load1: 0.5, memory_free_mb: 1024, disk_free_mb: 20_000 });
    const rows: Row[] = [];
    for (const connections of CONNECTIONS) {
      const requests = connections === 1 ? 300 : 1500;
      const rates: [number[], number[]] = [[], []];
      for (let round = 0; round <= (short ? 2 : 7); round += 1) {
        const [mine = NaN, base = NaN] = await byTurns(round, [ours, bare].map((at) => () => loadWith({ ...at, credentials, body, requests, connections })));
        if (round > 0) {
          rates[0].push(mine);
          rates[1].push(base);
        }
      }
      say(`${connections} connections: ${ratioOf(...rates).value.toFixed(2)}`);
      rows.push({
        what: `heartbeats, ${connections} connection${connections === 1 ? '' : 's'}`,
        ours: figure(rates[0], '/s'), against: 'bare Express and one UPDATE', base: figure(rates[1], '/s'), ratio: ratioOf(...rates),
      });
    }
    return rows;
  } finally {
    await lab.close();
  }
}

/** Nodes in an empty database; their credentials. */
async function enrol(lab: Lab, access: DatabaseAccess): Promise<string[]> {
  const db = createDatabase({ ...access, poolSize: 4 });
  lab.push('database', () => db.destroy());
  await createMigrator(db, migrationsDir).up();
  return (await severalNodes(db, NODES)).map(({ credential }) => credential);
}

async function startApi(lab: Lab, { host, port, user, password, database }: DatabaseAccess): Promise<string> {
  const httpPort = await freePort();
  const { url } = await startOrion(lab, 'api', {
    port: httpPort,
    env: {
      ORION_DB_HOST: host, ORION_DB_PORT: String(port), ORION_DB_USER: user, ORION_DB_PASSWORD: password, ORION_DB_NAME: database, ORION_DB_POOL: String(POOL_SIZE),
      ORION_HTTP_HOST: '127.0.0.1', ORION_HTTP_PORT: String(httpPort),
      ORION_JWT_KEY: 'a key of the benchmark that is long enough', ORION_SSH_KEY_FILE: (await generateSshKeyPair(lab.dir)).keyFile,
    },
  });
  return url;
}

async function startBare(lab: Lab, access: DatabaseAccess): Promise<string> {
  const server = startProcess(lab, {
    name: 'bare-server', command: process.execPath, cwd: projectDir,
    args: ['--import', 'tsx', join(projectDir, 'bench', 'heartbeat', 'bare-server.ts'), JSON.stringify({ ...access, poolSize: POOL_SIZE })],
  });
  const port = await eventually(() => /^port (\d+)/m.exec(server.log())?.[1], { what: 'the bare server listens', timeoutMs: 20_000 });
  return `http://127.0.0.1:${port}`;
}
