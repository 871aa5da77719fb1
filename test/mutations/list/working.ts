import type { Mutation } from '../mutation';

const PLACEMENTS = 'src/modules/leases/queries/placements.ts';
const WIPES = 'src/modules/nodes/queries/wipes.ts';
const HEALTH = 'src/modules/nodes/health.ts';

/** Claims, their completion, health and migration. */
export const WORKING: Mutation[] = [
  {
    name: 'placement-completed-without-token',
    what: 'the process that made an account completes its claim, whether the claim is still its own or not',
    breaks: 'I2',
    shows: 'was completed',
    scenario: 'fault-injections/stale-maker',
    edits: [{ file: PLACEMENTS, find: 'placements.id = ? AND claim_token = ?', replace: 'placements.id = ? AND ? IS NOT NULL' }],
  },
  {
    name: 'wipe-completed-without-token',
    what: 'whoever wiped a node frees it, whether the claim is still its own or not',
    breaks: 'I5',
    shows: 'is free while placement',
    scenario: 'fault-injections/stale-wiper',
    edits: [
      {
        file: WIPES,
        find: 'WHERE id = ? AND wipe_token = ? AND lease_id IS NULL FOR UPDATE',
        replace: "WHERE id = ? AND ? <> '' AND lease_id IS NULL FOR UPDATE",
      },
    ],
  },
  {
    name: 'late-wipe-not-bounded',
    what: 'a wipe takes every account of its node, those included that came after it was claimed',
    breaks: 'I7',
    shows: 'lacks the account',
    scenario: 'fault-injections-real/late-wipe',
    edits: [{ file: 'src/flows/placements/wipe-node.ts', find: '{ newestUid: claim.newestUid, signal }', replace: '{ signal }' }],
  },
  {
    name: 'generation-not-checked',
    what: "work for a generation that is past is done: neither the process that stood still, nor the renewal of its claim, nor the node's fence stops it",
    breaks: 'I7',
    shows: 'for no lease',
    scenario: 'fault-injections-real/stale-generation',
    edits: [
      { file: 'src/flows/placements/run-placement.ts', find: ' || lease.generation !== placement.generation', replace: '' },
      { file: 'src/flows/support/keep-claim.ts', find: 'if (held === false) {', replace: 'if (over) {' },
      { file: 'playbooks/node/orion_account.py', find: "if params['uid'] <= fence:", replace: 'if False:' },
    ],
  },
  {
    name: 'breaker-taken-out',
    what: 'leases are moved although most of the fleet fails at once',
    breaks: 'I8',
    shows: 'most of the fleet had failed',
    scenario: 'fault-injections/breaker',
    edits: [{ file: HEALTH, find: 'return failing >= MIN_FAILING_FOR_BREAKER && failing > healthy;', replace: 'return false;' }],
  },
  {
    name: 'outage-not-forgiven',
    what: 'failures from before an outage of the schedulers count towards a death',
    breaks: 'I8',
    shows: "from before the control plane's own outage",
    scenario: 'fault-injections/outage',
    edits: [
      { file: HEALTH, find: 'state.firstFailedAt !== null && state.firstFailedAt >= judgedSince', replace: 'state.firstFailedAt !== null' },
    ],
  },
  {
    name: 'broken-row-blocks',
    what: 'a lease whose move throws keeps its place at the head of the queue',
    breaks: 'I10',
    shows: 'has been due to be moved',
    scenario: 'fault-injections/broken-row',
    edits: [{ file: 'src/flows/migration/migrate-leases.ts', find: '    if (taken) {\n', replace: '    if (taken?.id === 0) {\n' }],
  },
];
