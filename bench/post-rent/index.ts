import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Knex } from 'knex';
import { createDatabase } from '../../src/db/connection';
import { selectFirst } from '../../src/db/sql';
import { issueAccessToken } from '../../src/modules/accounts';
import {
  createLab,
  type DatabaseAccess,
  eventually,
  type Lab,
  projectDir,
  startMariaDb,
  startProcess,
  testConstants,
} from '../../test/lab';
import { anSshKey } from '../../test/support/keys';
import type { Benchmark, BenchRun, Figure, Row } from '../benchmark';
import { createFleet, type Fleet } from '../claim/fleet';
import { loadWith } from '../heartbeat/load';
import { byTurns, cpuSecondsOf, figure, ratioOf } from '../measure';
import { JWT_KEY, startRole } from '../start-role';

const NODES = 10_000;
const CLIENTS = 128;
/** Where transactions of one claim each are fastest. */
const POOL_SIZE = 8;
/** Of a round: it takes about as long on either side. */
const REQUESTS = { ours: 3000, base: 600 };

export const postRent: Benchmark = {
  name: 'post-rent',
  method:
    `\`POST /api/rent\` of one API process until the lease is committed, ${CLIENTS} clients over kept connections, each call by the next of 1,000 users and with an Idempotency-Key of its own; no account is made: every \`ansible-playbook\` is held at its start (bench/post-rent/held-plays.mjs), and \`rentWaitSeconds: 0\` answers without waiting for it. Everything else is as it is delivered: token, user, limits, validation, quota, claim, answer, log. ` +
    `Against an Express handler that parses the same body, verifies the same token by jsonwebtoken and reads its user in the same SELECT, and writes the same rows in a transaction of 12 statements of its own by bare mysql2 (bench/claim). Both with a pool of ${POOL_SIZE}, on the same MariaDB (every commit flushed) and the same ${NODES.toLocaleString('en')} nodes, the same small client in a third process. Rounds of ${REQUESTS.ours} requests, or ${REQUESTS.base} of the base, by turns; after each, untimed, the leases are counted, all nodes freed and the purge waited for.`,
  run: (run) => measurePosts(run),
};

/** Where to rent. */
interface Side {
  url: string;
  path: string;
  requests: number;
  /** Of the process that answers. */
  pid: number;
}

interface Round {
  perSecond: number;
  /** Of the process that answers and of the database, for each rent. */
  cpuMicroseconds: number;
}

async function measurePosts({ short, say }: BenchRun): Promise<Row[]> {
  const lab = createLab();
  try {
    const mariadb = await startMariaDb(lab, { durable: true, args: ['--innodb-buffer-pool-size=512M'] });
    const fleet = await createFleet(lab, mariadb, NODES);
    const db = createDatabase({ ...fleet.access, poolSize: 1 });
    lab.push('database', () => db.destroy());
    const sides: Side[] = [
      { ...(await startApi(lab, fleet.access)), path: '/api/rent', requests: REQUESTS.ours },
      { ...(await startBare(lab, fleet.access)), path: '/rent', requests: REQUESTS.base },
    ];
    const credentials = fleet.userIds.map((id) => issueAccessToken({ id }, { key: JWT_KEY, ttlSeconds: 3600 }, new Date()));
    const body = JSON.stringify({ duration_hours: 1, ssh_public_key: anSshKey() });
    const measure = async ({ pid, requests, ...at }: Side): Promise<Round> => {
      const cpu = (): number => cpuSecondsOf(pid) + cpuSecondsOf(mariadb.process().pid);
      const before = cpu();
      const perSecond = await loadWith({ ...at, requests, credentials, body, connections: CLIENTS, status: 202 });
      const cpuMicroseconds = ((cpu() - before) * 1e6) / requests;
      await checkAndFree(db, fleet, requests);
      return { perSecond, cpuMicroseconds };
    };
    const rounds: [Round[], Round[]] = [[], []];
    // The first two warm up.
    for (let round = -1; round <= (short ? 3 : 9); round += 1) {
      const [ours, base] = await byTurns(
        Math.abs(round),
        sides.map((side) => () => measure(side)),
      );
      if (round > 0 && ours && base) {
        rounds[0].push(ours);
        rounds[1].push(base);
        say(`ours ${ours.perSecond.toFixed(0)}/s, base ${base.perSecond.toFixed(0)}/s`);
      }
    }
    return toRows(...rounds);
  } finally {
    await lab.close();
  }
}

function toRows(ours: Round[], base: Round[]): Row[] {
  const row = (what: string, unit: Figure['unit'], valueOf: (round: Round) => number): Row => {
    const [mine, theirs] = [ours.map(valueOf), base.map(valueOf)];
    return {
      what,
      ours: figure(mine, unit),
      against: `Express and a transaction each, pool of ${POOL_SIZE}`,
      base: figure(theirs, unit),
      ratio: ratioOf(mine, theirs),
    };
  };
  return [
    { ...row(`POST /api/rent until the commit, ${CLIENTS} clients`, '/s', ({ perSecond }) => perSecond), goal: { atLeast: 5 } },
    row('processor time of one, API and database', 'µs', ({ cpuMicroseconds }) => cpuMicroseconds),
  ];
}

/** Both sides have to have written the same. */
async function checkAndFree(db: Knex, fleet: Fleet, requests: number): Promise<void> {
  const counted = await selectFirst<{ n: number }>(
    db,
    'SELECT COUNT(*) AS n FROM leases JOIN rents ON rents.id = rent_id JOIN placements ON current_lease_id = leases.id JOIN nodes ON nodes.lease_id = leases.id JOIN events ON events.lease_id = leases.id',
  );
  if (counted?.n !== requests) {
    throw new Error(`${requests} rents were answered and ${counted?.n ?? 0} are in the database`);
  }
  await fleet.free();
}

function startApi(lab: Lab, access: DatabaseAccess): Promise<Pick<Side, 'url' | 'pid'>> {
  return startRole(lab, 'api', access, {
    env: {
      ORION_DB_POOL: String(POOL_SIZE),
      // Nothing comes of a held play, so nothing has to be renewed either.
      ...testConstants({ rentWaitSeconds: 0, claimSeconds: 3600 }),
      ORION_WARM_PLAYS: 'false',
      ORION_PLAY_CONCURRENCY: '1',
      ORION_PLAY_TIMEOUT_SECONDS: '3600',
    },
    nodeArgs: ['--import', pathToFileURL(join(projectDir, 'bench', 'post-rent', 'held-plays.mjs')).href],
  });
}

async function startBare(lab: Lab, access: DatabaseAccess): Promise<Pick<Side, 'url' | 'pid'>> {
  const server = startProcess(lab, {
    name: 'bare-server',
    command: process.execPath,
    cwd: projectDir,
    args: [
      '--import',
      'tsx',
      join(projectDir, 'bench', 'post-rent', 'bare-server.ts'),
      JSON.stringify({ ...access, poolSize: POOL_SIZE, jwtKey: JWT_KEY }),
    ],
  });
  const port = await eventually(() => /^port (\d+)/m.exec(server.log())?.[1], { what: 'the bare server listens', timeoutMs: 20_000 });
  return { url: `http://127.0.0.1:${port}`, pid: server.pid };
}
