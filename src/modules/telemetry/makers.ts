import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** The values of each label of a metric. */
type Closed = Readonly<Record<string, readonly string[]>>;

/**
 * A counter whose labels have a closed set of values. All series exist from the start, at 0. If a series began with its first failure, at
 * 1, a query would see no increase.
 */
interface Tally<C extends Closed> {
  inc(labels: { [L in keyof C]: C[L][number] }, value?: number): void;
  /** Sets all series to 0, before a value that somebody else counts is added. */
  reset(): void;
}

const SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
export const FAST_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface HistogramOf<L extends string> {
  values: Readonly<Record<L, readonly string[]>>;
  buckets?: number[];
}

/** Functions that create metrics in one registry. Those ending in `By` create all series of a closed set of labels at 0. */
export interface Makers {
  counter: <L extends string>(name: string, help: string, labelNames?: L[]) => Counter<L>;
  counterBy: <const C extends Closed>(name: string, help: string, values: C) => Tally<C>;
  gauge: <L extends string>(name: string, help: string, labelNames?: L[]) => Gauge<L>;
  histogram: <L extends string>(name: string, help: string, options?: { buckets?: number[]; labelNames?: L[] }) => Histogram<L>;
  histogramBy: <L extends string>(name: string, help: string, options: HistogramOf<L>) => Histogram<L>;
}

export function createMakers(registry: Registry): Makers {
  const registers = [registry];
  const histogram: Makers['histogram'] = (name, help, { buckets = SECONDS, labelNames = [] } = {}) =>
    new Histogram({ name, help, labelNames, buckets, registers });
  return {
    counter: (name, help, labelNames = []) => new Counter({ name, help, labelNames, registers }),
    counterBy: (name, help, values) => {
      const made = new Counter({ name, help, labelNames: Object.keys(values), registers });
      combinationsOf(values).forEach((labels) => made.inc(labels, 0));
      return made;
    },
    gauge: (name, help, labelNames = []) => new Gauge({ name, help, labelNames, registers }),
    histogram,
    histogramBy: <L extends string>(name: string, help: string, { values, buckets = SECONDS }: HistogramOf<L>) => {
      const made = histogram<L>(name, help, { buckets, labelNames: Object.keys(values) as L[] });
      combinationsOf(values).forEach((labels) => made.zero(labels));
      return made;
    },
  };
}

/** Returns one object for each combination of label values. */
function combinationsOf<L extends string>(values: Readonly<Record<L, readonly string[]>>): Record<L, string>[] {
  const entries = Object.entries(values) as [L, readonly string[]][];
  const start = [{} as Record<L, string>];
  return entries.reduce((rows, [label, each]) => rows.flatMap((row) => each.map((value) => ({ ...row, [label]: value }))), start);
}
