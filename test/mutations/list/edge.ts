import type { Mutation } from '../mutation';

/** What stands between strangers and the API. */
export const EDGE: Mutation[] = [
  {
    name: 'caller-fault-counts-against-replica',
    what: 'a request that fails, whoever broke it, takes its replica out of the pool of the proxy for five seconds',
    breaks: 'availability',
    // Callers see it, or agents do.
    shows: /was not answered as usual|its tenant was suspended/,
    scenario: 'bad-bodies',
    edits: [{ file: 'Caddyfile', find: '\tlb_try_interval 100ms\n', replace: '\tlb_try_interval 100ms\n\tfail_duration 5s\n' }],
  },
];
