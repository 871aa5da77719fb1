import type { Benchmark, BenchRun, Row } from '../benchmark';
import { byTurns, figure, median, ratioOf } from '../measure';
import { seatTypist } from './keystroke';
import { createCourier, type Direction } from './sftp';
import { openSite, type Site } from './site';

const MEBIBYTES = 256;
const STROKES = 50;

export const gateway: Benchmark = {
  name: 'gateway',
  method:
    `OpenSSH's sftp carries ${MEBIBYTES} MiB to an account (put) and from it (get), its login included, the size checked: through gateway and tunnel (a machine whose own address leads nowhere), through the gateway to a machine that it dials directly, ` +
    "and with OpenSSH alone to the first machine, straight and by way of a third one's sshd, as `ssh -J` does. By turns. " +
    `Keystrokes: an ssh2 client without Nagle's delay types at a shell in which \`cat\` echoes on a raw terminal, ${STROKES} keys a round, one after the echo of the other; the figure of a round is its median, and what is added is that less the median of the same straight to the machine. ` +
    'API, gateway, scheduler, agents, every sshd and the clients share the cores, so each process on the way costs throughput that it would not on machines of their own.',
  run: (run) => measureGateway(run),
};

async function measureGateway(run: BenchRun): Promise<Row[]> {
  const site = await openSite();
  try {
    return [...(await measureSftp(site, run, 'get')), ...(await measureSftp(site, run, 'put')), ...(await measureKeystrokes(site, run))];
  } finally {
    await site.system.close();
  }
}

async function measureSftp(site: Site, { short, say }: BenchRun, direction: Direction): Promise<Row[]> {
  const courier = createCourier(site.system.lab.dir, short ? 64 : MEBIBYTES);
  const { tunnel, plain, jump, direct } = await rounds(short ? 1 : 3, site.ways, (way) => courier.carry(way, direction));
  say(`sftp ${direction}: tunnel ${showAll(tunnel)}, without ${showAll(plain)}, ssh -J ${showAll(jump)}, straight ${showAll(direct)} MB/s`);
  const row = (what: string, ours: number[], against: string, base: number[]): Row => ({
    what: `sftp ${direction}, ${what}`,
    ours: figure(ours, 'MB/s'),
    against,
    base: figure(base, 'MB/s'),
    ratio: ratioOf(ours, base),
  });
  return [
    { ...row('gateway and tunnel', tunnel, 'OpenSSH through `ssh -J`', jump), goal: { atLeast: 0.5 } },
    row('gateway and tunnel', tunnel, 'OpenSSH straight to the machine', direct),
    row('gateway alone', plain, 'OpenSSH through `ssh -J`', jump),
  ];
}

async function measureKeystrokes(site: Site, { short, say }: BenchRun): Promise<Row[]> {
  const { ways } = site;
  const typists = { tunnel: await seatTypist(ways.tunnel), plain: await seatTypist(ways.plain), direct: await seatTypist(ways.direct) };
  const { tunnel, plain, direct } = await rounds(short ? 4 : 16, typists, async (typist) => {
    const strokes: number[] = [];
    for (let stroke = 0; stroke < STROKES; stroke += 1) {
      strokes.push(await typist.strokeMs());
    }
    return median(strokes);
  });
  Object.values(typists).forEach((typist) => typist.close());
  say(`a key: tunnel ${median(tunnel).toFixed(2)}, without ${median(plain).toFixed(2)}, straight ${median(direct).toFixed(2)} ms`);
  const row = (what: string, through: number[]): Row => {
    const added = through.map((ms, round) => ms - (direct[round] ?? NaN));
    return {
      what: `added to a keystroke, ${what}`,
      ours: figure(added, 'ms'),
      against: 'its echo straight from the machine',
      base: figure(direct, 'ms'),
      ratio: ratioOf(added, direct),
      goal: { atMost: 3, of: 'ours' },
    };
  };
  return [row('gateway and tunnel', tunnel), row('gateway alone', plain)];
}

/** All of them by turns, so many times. */
async function rounds<K extends string, T>(
  times: number,
  subjects: Record<K, T>,
  measure: (subject: T) => Promise<number>,
): Promise<Record<K, number[]>> {
  const names = Object.keys(subjects) as K[];
  const results = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<K, number[]>;
  for (let round = 0; round < times; round += 1) {
    await byTurns(
      round,
      names.map((name) => async () => results[name].push(await measure(subjects[name]))),
    );
  }
  return results;
}

const showAll = (values: readonly number[]): string => values.map((value) => value.toFixed(0)).join(' ');
