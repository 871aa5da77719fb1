import { type Moves, stateSql } from '../../db/moves';
import type { NodeStatus } from './types';

const WATCHED = ['unknown', 'alive', 'suspect', 'dead'] as const;
const ENROLLED = ['pending', ...WATCHED, 'quarantined'] as const;

/** Every change of a node's status. `npm run docs:states` draws them in docs/states.md. */
export const NODE_MOVES = {
  apply: { from: [], to: 'pending', cause: 'registered without a token' },
  enrol: { from: [], to: 'unknown', cause: 'registered with a token' },
  forget: { from: ['pending'], to: null, cause: 'silent for an hour, waited seven days, or left' },
  approve: { from: ['pending', 'quarantined'], to: 'unknown', cause: 'approved' },
  register: { from: ['pending', ...WATCHED], to: 'unknown', cause: 'registered again' },
  answer: { from: WATCHED, to: 'alive', cause: 'probe answered' },
  stayUnknown: { from: ['unknown'], to: 'unknown', cause: 'probe failed' },
  fail: { from: ['alive', 'suspect'], to: 'suspect', cause: 'probe failed' },
  suspect: { from: ['alive'], to: 'suspect', cause: 'agent silent, or account failed' },
  die: { from: WATCHED, to: 'dead', cause: '3rd failure in a row' },
  quarantine: { from: ENROLLED, to: 'quarantined', cause: 'host key changed, wipes or provisioning kept failing, or operator' },
  retire: { from: ENROLLED, to: 'retired', cause: 'left, or operator' },
} as const satisfies Moves<NodeStatus>;

export const nodeState = stateSql({ table: 'nodes', column: 'status', moves: NODE_MOVES });
