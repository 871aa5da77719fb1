/** Something that Orion does, measured against the least that it could take, in one run on one machine. */
export interface Benchmark {
  /** As on the command line: kebab-case. */
  name: string;
  /** What is done on both sides, how often, and how the figures come about: one paragraph, for the page. */
  method: string;
  /** Starts what it needs, and has ended all of it when this settles. */
  run(run: BenchRun): Promise<Row[]>;
}

export interface BenchRun {
  /** Small counts, for a smoke run: the figures are rough. */
  short: boolean;
  /** One line for whoever watches. */
  say: (line: string) => void;
}

/** One row of the table. */
export interface Row {
  what: string;
  ours: Figure;
  /** What it is measured against, and its figure. */
  against: string;
  base: Figure;
  ratio: Ratio;
  goal?: Goal;
}

export interface Figure {
  value: number;
  unit: '/s' | 'µs' | 'ms' | 's' | 'KB' | 'MB' | 'MB/s' | '%' | 'cores';
}

/** Ours ÷ base. */
export interface Ratio {
  value: number;
  /** The middle half of the rounds; absent when there was but one. */
  quartiles?: [number, number];
}

/** What the ratio should be, or, with `of: 'ours'`, our own figure. */
export interface Goal {
  atLeast?: number;
  atMost?: number;
  of?: 'ours';
}

/** Undefined: there is no goal. */
export function isMet({ goal, ratio, ours }: Row): boolean | undefined {
  if (!goal) {
    return undefined;
  }
  const value = goal.of === 'ours' ? ours.value : ratio.value;
  return value >= (goal.atLeast ?? -Infinity) && value <= (goal.atMost ?? Infinity);
}
