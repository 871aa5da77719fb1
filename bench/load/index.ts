import type { Benchmark, BenchRun, Row } from '../benchmark';
import { type LoadReport, runLoad } from './run-load';

const FEW = 1_000;
const MANY = 100_000;
const MANY_SHORT = 10_000;

export const load: Benchmark = {
  name: 'load',
  method:
    `\`scripts/load.sh\` with ${MANY.toLocaleString('en')} simulated nodes, one API, no scheduler, default settings: the agents' own sessions call home in the schedule that they are told. Sustained: heartbeats answered against those that the longest told interval asks for. Lag: the 99th of a hundred answers in the second half of a minute against the first; one that grows is tens of seconds by then. ` +
    `Memory: of the API replica, against the same with ${FEW.toLocaleString('en')} nodes. MariaDB does not wait for the disk here; \`heartbeat\` measures with flushes. Short: ${MANY_SHORT.toLocaleString('en')} nodes.`,
  run: (run) => measureLoad(run),
};

async function measureLoad({ short, say }: BenchRun): Promise<Row[]> {
  const options = { seconds: short ? 20 : 60, apis: 1, schedulers: 0, rentsPerSecond: 0, register: false, say };
  const few = await runLoad({ ...options, nodes: FEW, seconds: 10 });
  const many = await runLoad({ ...options, nodes: short ? MANY_SHORT : MANY });
  return rowsOf(few, many);
}

function rowsOf(few: LoadReport, many: LoadReport): Row[] {
  const nodes = `${many.nodes.toLocaleString('en')} nodes`;
  const { perSecond, intervalSeconds, firstHalfP99, secondHalfP99 } = many.heartbeats;
  const asked = many.nodes / intervalSeconds;
  const [memory, fewMemory] = [many, few].map(({ roles }) => roles['api']?.residentMb ?? NaN) as [number, number];
  return [
    {
      what: `heartbeats of ${nodes}, sustained`,
      ours: { value: perSecond, unit: '/s' },
      against: 'what the longest told interval asks for',
      base: { value: asked, unit: '/s' },
      ratio: { value: perSecond / asked },
      goal: { atLeast: 0.95 },
    },
    {
      what: `p99 of their answers, second half`,
      ours: { value: secondHalfP99, unit: 'ms' },
      against: 'the first half',
      base: { value: firstHalfP99, unit: 'ms' },
      ratio: { value: secondHalfP99 / firstHalfP99 },
      goal: { atMost: 1_000, of: 'ours' },
    },
    {
      what: `memory of an API replica with ${nodes}`,
      ours: { value: memory, unit: 'MB' },
      against: `with ${few.nodes.toLocaleString('en')}`,
      base: { value: fewMemory, unit: 'MB' },
      ratio: { value: memory / fewMemory },
      goal: { atMost: 400, of: 'ours' },
    },
  ];
}
