import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger, makeWorkerUtils, runOnce } from 'graphile-worker';
import pg from 'pg';
import { eventually, type Lab, runOrThrow, startProcess } from '../../test/lab';
import { timeMs } from '../measure';
import type { Peer } from './peer';

/** Its default. */
const POOL_SIZE = 10;
/** By itself it writes a line for each job. */
const logger = new Logger(() => () => undefined);
const BINARIES = '/usr/lib/postgresql';
/** postgres refuses to run as root. */
const AS_POSTGRES = ['--reuid=postgres', '--regid=postgres', '--clear-groups'];

/** graphile-worker, without prefetching and batches, on a PostgreSQL of its own that flushes every commit. */
export async function openGraphileWorker(lab: Lab): Promise<Peer> {
  const pool = await startPostgres(lab);
  const utils = await makeWorkerUtils({ pgPool: pool, logger });
  await utils.migrate();
  await utils.release();
  return {
    name: 'graphile-worker',
    work: async (jobs, concurrency) => {
      await pool.query("SELECT count(graphile_worker.add_job('nothing')) FROM generate_series(1, $1::int)", [jobs]);
      await pool.query('VACUUM ANALYZE graphile_worker._private_jobs');
      const tookMs = await timeMs(async () => {
        await runOnce({ pgPool: pool, concurrency, logger, noHandleSignals: true, taskList: { nothing: () => undefined } });
        // The last completions are under way still.
        await eventually(() => isEmpty(pool), { what: 'every job is completed', timeoutMs: 20_000, everyMs: 2 });
      });
      return (jobs * 1000) / tookMs;
    },
  };
}

const isEmpty = async (pool: pg.Pool): Promise<boolean> =>
  (await pool.query('SELECT 1 FROM graphile_worker._private_jobs LIMIT 1')).rowCount === 0;

/** Reached through a socket in a folder that is its user's alone. */
async function startPostgres(lab: Lab): Promise<pg.Pool> {
  const version = Math.max(...readdirSync(BINARIES).map(Number));
  const binary = (name: string): string => join(BINARIES, String(version), 'bin', name);
  const dir = mkdtempSync(join(tmpdir(), 'orion-postgres-'));
  lab.note({ kind: 'dir', path: dir });
  lab.push('folder of PostgreSQL', () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  await runOrThrow('chown', ['postgres:', dir]);
  const data = join(dir, 'data');
  await runOrThrow('setpriv', [...AS_POSTGRES, binary('initdb'), '--auth=trust', '--encoding=UTF8', '--locale=C', '-D', data], {
    cwd: dir,
  });
  const server = startProcess(lab, {
    name: 'postgres',
    command: 'setpriv',
    args: [...AS_POSTGRES, binary('postgres'), '-D', data, '-k', dir, '-c', 'listen_addresses='],
    cwd: dir,
  });
  const pool = new pg.Pool({ host: dir, user: 'postgres', database: 'postgres', max: POOL_SIZE });
  // graphile-worker warns of a pool without them, in each round.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => void client.on('error', () => undefined));
  lab.push('pool of PostgreSQL', () => pool.end());
  const answers = async (): Promise<boolean> => !server.running() || (await pool.query('SELECT 1')).rowCount === 1;
  await eventually(answers, { what: 'PostgreSQL answers', timeoutMs: 30_000, everyMs: 50 });
  if (!server.running()) {
    throw new Error(`postgres ended at once: ${server.log().slice(-2000)}`);
  }
  return pool;
}
