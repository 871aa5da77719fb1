import { readFileSync } from 'node:fs';
import { systemClock } from '../src/lib/clock';
import { createProber, dialDirectly } from '../src/ssh';
import { createLab, generateSshKeyPair, launchWorkers } from '../test/lab';
import { bareProbe } from './bare-ssh';
import type { Benchmark, BenchRun, Row } from './benchmark';
import { byTurns, figure, perSecond, ratioOf, timeMs } from './measure';

const AT_ONCE = 16;

export const probe: Benchmark = {
  name: 'probe',
  method: `The fresh login that alone judges a node (**keepalive-probes** has what goes on in between): \`src/ssh\` probes a worker's sshd (login with the pinned host key checked, \`echo\`, answer compared, deadline) against a bare ssh2 client that logs in and runs the same \`echo\`, with \`setNoDelay\`. Alone: one after the other, by turns. ${AT_ONCE} at once: rounds of 160.`,
  run: (run) => measureProbes(run),
};

async function measureProbes({ short, say }: BenchRun): Promise<Row[]> {
  const lab = createLab();
  try {
    const key = await generateSshKeyPair(lab.dir);
    const [worker] = (await launchWorkers(lab, 1)).workers;
    if (!worker) {
      throw new Error('no worker');
    }
    await worker.authorizeRoot(key.publicKey);
    const target = { nodeId: 1, address: worker.address, port: worker.port, hostKey: worker.hostKey };
    const who = { username: 'root', privateKey: readFileSync(key.keyFile, 'utf8') };
    const prober = createProber({ ...who, dial: dialDirectly, timeoutMs: 10_000, clock: systemClock });
    const ours = async (): Promise<void> => {
      const { outcome, reason } = await prober.probe(target);
      if (outcome !== 'ok') {
        throw new Error(reason ?? outcome);
      }
    };
    const bare = (): Promise<void> => bareProbe(target, who);

    const alone = await compare(short ? 20 : 150, 10, [() => timeMs(ours), () => timeMs(bare)]);
    const together = await compare(short ? 2 : 6, 1, [() => perSecond(160, AT_ONCE, ours), () => perSecond(160, AT_ONCE, bare)]);
    say(`alone ${ratioOf(...alone).value.toFixed(2)}, together ${ratioOf(...together).value.toFixed(2)}`);
    const against = 'bare ssh2 handshake and exec';
    return [
      {
        what: 'a probe, alone',
        ours: figure(alone[0], 'ms'),
        against,
        base: figure(alone[1], 'ms'),
        ratio: ratioOf(...alone),
        goal: { atMost: 1.2 },
      },
      {
        what: `probes, ${AT_ONCE} at once`,
        ours: figure(together[0], '/s'),
        against,
        base: figure(together[1], '/s'),
        ratio: ratioOf(...together),
        goal: { atLeast: 0.83 },
      },
    ];
  } finally {
    await lab.close();
  }
}

/** The first `warmUp` rounds do not count. */
async function compare(rounds: number, warmUp: number, sides: (() => Promise<number>)[]): Promise<[number[], number[]]> {
  const ours: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < rounds + warmUp; round += 1) {
    const [mine = NaN, base = NaN] = await byTurns(round, sides);
    if (round >= warmUp) {
      ours.push(mine);
      bare.push(base);
    }
  }
  return [ours, bare];
}
