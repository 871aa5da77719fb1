import type { Mutation } from '../mutation';

const TEST = 'test/integration/http/metrics.test.ts';

/** Metrics that no longer follow what happens. */
export const SEEING: Mutation[] = [
  {
    name: 'queue-lag-always-zero',
    what: 'the metrics report that no due work waits, however long it does',
    breaks: 'R40',
    shows: 'how long due work waits',
    test: TEST,
    edits: [
      {
        file: 'src/modules/telemetry/queries/queue-lag.ts',
        find: 'Math.max(0, Number(value ?? 0));',
        replace: 'Math.max(0, 0 * Number(value ?? 0));',
      },
    ],
  },
  {
    name: 'nothing-counted',
    what: 'counters with labels stay at 0',
    breaks: 'R40',
    shows: 'counts whom it lets in',
    test: TEST,
    edits: [
      {
        file: 'src/modules/telemetry/makers.ts',
        find: '      combinationsOf(values).forEach((labels) => made.inc(labels, 0));\n      return made;',
        replace:
          '      combinationsOf(values).forEach((labels) => made.inc(labels, 0));\n      return { inc: () => undefined, reset: () => undefined };',
      },
    ],
  },
];
