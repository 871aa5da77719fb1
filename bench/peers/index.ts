import { join } from 'node:path';
import { createLab, projectDir, runOrThrow, startMariaDb } from '../../test/lab';
import type { Benchmark, BenchRun, Row } from '../benchmark';
import { openSide } from '../batched-claims';
import { byTurns, figure, perSecond, ratioOf } from '../measure';
import { openBullMq } from './bullmq';
import { openGraphileWorker } from './graphile-worker';
import type { Peer } from './peer';

const NODES = 10_000;
const CALLERS = [32, 128];
/** In a round: each takes about a second. */
const CLAIMS = 3_000;
const INSTALL_MS = 300_000;

/** How many jobs it gets in a round, and what is wanted of ours against it. */
interface Opponent {
  peer: Peer;
  jobs: number;
  atLeast: number;
}

export const peers: Benchmark = {
  name: 'peers',
  method:
    `Batched claims (as in **batched-claims**, ${NODES.toLocaleString('en')} nodes, 32 and 128 callers in one process, every commit flushed) against two job queues that take a job which does nothing and complete it, as many at once, jobs added beforehand. graphile-worker as it comes (no prefetching, no batches, 10 connections) on PostgreSQL as it comes, which flushes every commit too. ` +
    "BullMQ as it comes on Redis as it comes, which flushes nothing when it answers: it writes a snapshot now and then, and a crash loses what came since. Both are reached through a socket, MariaDB over TCP. By turns; nodes and tables are swept up in between, untimed. What is missing of PostgreSQL and Redis is installed from Debian's packages (`scripts/install-deps.sh --peers`). " +
    'A claim of ours is more than a job of theirs: it looks at user, key, quota and what node is wished for, and writes rent, lease, node, placement and event; completing a job is a second write, which ours has no counterpart of.',
  run: (run) => measurePeers(run),
};

async function measurePeers({ short, say }: BenchRun): Promise<Row[]> {
  await runOrThrow(join(projectDir, 'scripts', 'install-deps.sh'), ['--peers'], { timeoutMs: INSTALL_MS });
  const lab = createLab();
  try {
    const mariadb = await startMariaDb(lab, { durable: true, args: ['--innodb-buffer-pool-size=512M'] });
    const { fleet, ours } = await openSide(lab, mariadb, NODES);
    const opponents: Opponent[] = [
      { peer: await openGraphileWorker(lab), jobs: 2_000, atLeast: 6 },
      { peer: await openBullMq(lab), jobs: 6_000, atLeast: 1 },
    ];
    const rows: Row[] = [];
    for (const callers of CALLERS) {
      const rates: number[][] = [[], [], []];
      const sides = [
        async () => {
          const rate = await perSecond(CLAIMS, callers, ours);
          await fleet.free();
          return rate;
        },
        ...opponents.map(
          ({ peer, jobs }) =>
            () =>
              peer.work(jobs, callers),
        ),
      ];
      // The first one warms up.
      for (let round = 0; round <= (short ? 2 : 7); round += 1) {
        const measured = await byTurns(round, sides);
        if (round > 0) {
          measured.forEach((rate, at) => rates[at]?.push(rate));
          say(`${callers} callers: ours ${measured.map((rate) => `${rate.toFixed(0)}/s`).join(', ')}`);
        }
      }
      rows.push(...rowsOf(callers, opponents, rates));
    }
    return rows;
  } finally {
    await lab.close();
  }
}

function rowsOf(callers: number, opponents: Opponent[], [ours = [], ...theirs]: number[][]): Row[] {
  return opponents.map(({ peer, atLeast }, at) => {
    const base = theirs[at] ?? [];
    return {
      what: `batched claims, ${callers} callers`,
      ours: figure(ours, '/s'),
      against: `${peer.name}, ${callers} jobs at once`,
      base: figure(base, '/s'),
      ratio: ratioOf(ours, base),
      goal: { atLeast },
    };
  });
}
