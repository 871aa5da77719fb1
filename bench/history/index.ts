import { firstPruneRound, pruneHistory, type PruneRound } from '../../src/flows/leases/prune-history';
import { createLab, startMariaDb } from '../../test/lab';
import type { Benchmark, BenchRun, Figure, Row } from '../benchmark';
import { byTurns, figure, ratioOf, timeMs } from '../measure';
import type { HistorySize } from './fill';
import { openSide, type Side } from './side';

const FULL: HistorySize = { leases: 1_000_000, events: 5_000_000, oldEvents: 1_000_000 };
const SMALL: HistorySize = { leases: 20_000, events: 100_000, oldEvents: 20_000 };
/** The index of the events in a round of the job `prune`. */
const EVENTS = 2;

export const history: Benchmark = {
  name: 'history',
  method:
    `A database with ${FULL.leases.toLocaleString('en')} ended leases (each with its rent and its wiped account) and ` +
    `${FULL.events.toLocaleString('en')} events, and one with none, on the same MariaDB (every commit flushed), with the same nodes and ` +
    'users, by turns: rents by 8 callers until the commit, pages of leases (the first and a middle one, of a user and of all users, of ' +
    'running leases and of all), leases that the job `expire` ends, and a scrape of `/metrics`. ' +
    `Then, in the database with history: rents while the job \`prune\` deletes ${FULL.oldEvents.toLocaleString('en')} old events, and ` +
    'the same rents without it, by turns. The flows run in this process, so the job also takes processor time from the rents.',
  run: (run) => measureHistory(run),
};

interface Sizes {
  nodes: number;
  rents: number;
  rounds: number;
  history: HistorySize;
  /** Longest time of the rents beside the job. */
  pruneSeconds: number;
}

const sizesOf = (short: boolean): Sizes => ({
  nodes: short ? 500 : 2_000,
  rents: short ? 200 : 1_000,
  rounds: short ? 3 : 9,
  history: short ? SMALL : FULL,
  pruneSeconds: short ? 10 : 150,
});

async function measureHistory({ short, say }: BenchRun): Promise<Row[]> {
  const lab = createLab();
  const sizes = sizesOf(short);
  try {
    const args = ['--innodb-buffer-pool-size=3G', '--innodb-log-file-size=1G'];
    const mariadb = await startMariaDb(lab, { durable: true, args });
    const empty = await openSide(lab, mariadb, { nodes: sizes.nodes, history: null });
    let full: Side | undefined;
    const filledMs = await timeMs(async () => (full = await openSide(lab, mariadb, sizes)));
    say(`the history is there after ${(filledMs / 1000).toFixed(0)} s`);
    if (!full) {
      throw new Error('there is no history');
    }
    return [...(await compare(full, empty, sizes, say)), ...(await pruneBeside(full, sizes, say))];
  } finally {
    await lab.close();
  }
}

interface Measure {
  what: string;
  unit: Figure['unit'];
  of: (side: Side) => Promise<number>;
}

async function compare(full: Side, empty: Side, { rents, rounds }: Sizes, say: BenchRun['say']): Promise<Row[]> {
  const measures: Measure[] = [
    { what: 'rent, 8 callers', unit: '/s', of: (side) => side.rent(rents) },
    { what: 'a page of leases', unit: 'ms', of: (side) => side.list() },
    { what: 'leases that expire', unit: '/s', of: (side) => side.expire(rents / 2) },
    { what: 'a scrape of /metrics', unit: 'ms', of: (side) => side.scrape() },
  ];
  const rows: Row[] = [];
  for (const { what, unit, of } of measures) {
    const [ours, base]: [number[], number[]] = [[], []];
    // The first round warms up.
    for (let round = 0; round <= rounds; round += 1) {
      const [mine = NaN, theirs = NaN] = await byTurns(
        round,
        [full, empty].map((side) => () => of(side)),
      );
      if (round > 0) {
        ours.push(mine);
        base.push(theirs);
      }
    }
    const goal = unit === 'ms' ? { atMost: 1.2 } : { atLeast: 1 / 1.2 };
    const ratio = ratioOf(ours, base);
    const [mine, theirs] = [figure(ours, unit), figure(base, unit)];
    rows.push({ what: `${what}, with history`, ours: mine, against: 'without history', base: theirs, ratio, goal });
    say(`${what}: ${ratio.value.toFixed(2)}`);
  }
  return rows;
}

/** Rents with and without the job by turns, until the old events are gone or the time is over. */
async function pruneBeside(side: Side, { rents, pruneSeconds }: Sizes, say: BenchRun['say']): Promise<Row[]> {
  const round: PruneRound = { ...firstPruneRound(), kind: EVENTS };
  const [beside, alone]: [number[], number[]] = [[], []];
  let spentMs = 0;
  const left = { events: true };
  const withJob = async (): Promise<number> => {
    let rate = NaN;
    const over = new AbortController();
    const renting = side.rent(rents).then((value) => {
      rate = value;
      over.abort();
    });
    spentMs += await timeMs(async () => {
      while (!over.signal.aborted && left.events) {
        left.events = (await pruneHistory(side.ctx, round)) === 'more' && round.kind === EVENTS;
      }
      await renting;
    });
    return rate;
  };
  for (let turn = 0; left.events && spentMs < pruneSeconds * 1000; turn += 1) {
    const [mine = NaN, theirs = NaN] = await byTurns(turn, [withJob, () => side.rent(rents)]);
    beside.push(mine);
    alone.push(theirs);
  }
  const { events } = round.deleted;
  say(`${events} events pruned in ${(spentMs / 1000).toFixed(0)} s beside rents`);
  const pruned: Figure = { value: (events * 1000) / spentMs, unit: '/s' };
  const [ours, base] = [figure(beside, '/s'), figure(alone, '/s')];
  const pace = { value: pruned.value / ours.value };
  const what = 'rent, 8 callers, while events are pruned';
  return [
    { what, ours, against: 'without the job', base, ratio: ratioOf(beside, alone), goal: { atLeast: 0.95 } },
    { what: `events pruned, ${events.toLocaleString('en')}`, ours: pruned, against: 'rents meanwhile', base: ours, ratio: pace },
  ];
}
