import { type Mutation, withoutUnique } from '../mutation';

const CLAIM = 'src/modules/nodes/queries/free-nodes.ts';
const OCCUPY = 'src/modules/nodes/queries/occupancy.ts';
const RENT = 'src/flows/rent/reserve.ts';
const EXTEND = 'src/flows/leases/extend-lease.ts';
const TRANSITIONS = 'src/modules/leases/queries/transitions.ts';
const FIND_LEASES = 'src/modules/leases/queries/find-leases.ts';
const LIST_LEASES = 'src/modules/leases/queries/list-leases.ts';
const TRANSACTION = 'src/db/transaction.ts';

/** Who gets a node, whose it is, until when. */
export const LEASING: Mutation[] = [
  {
    name: 'claim-without-lock',
    what: "the row lock is taken out of the claim, and with it all that stands behind it: the guard of the node's row, the UNIQUE keys on node and uid",
    breaks: 'I1',
    shows: 'occupy it at once',
    scenario: 'fault-injections/crowd',
    edits: [
      { file: CLAIM, find: 'ORDER BY fit, use_band, id LIMIT ? FOR UPDATE SKIP LOCKED', replace: 'ORDER BY fit, use_band, id LIMIT ?' },
      { file: OCCUPY, find: 'next_uid = next_uid + 1 WHERE id = ? AND lease_id IS NULL', replace: 'next_uid = next_uid + 1 WHERE id = ?' },
      { file: OCCUPY, find: ') AND nodes.lease_id IS NULL', replace: ')' },
      withoutUnique('leases_occupied_node'),
      {
        file: 'src/flows/placements/run-placement.ts',
        find: 'if (error instanceof StaleUidError) {\n    return error.fence + 1;',
        replace: 'if (error instanceof StaleUidError) {\n    return undefined;',
      },
      withoutUnique('placements_uid'),
    ],
  },
  {
    name: 'unique-column-taken-out',
    what: 'the schema takes two leases on one node; nothing else is wrong, so only a look at the schema can tell',
    breaks: 'I1',
    shows: 'the schema does not refuse',
    scenario: 'fault-injections/others',
    edits: [withoutUnique('leases_occupied_node')],
  },
  {
    name: 'uid-used-again',
    what: 'a node gives the same uid to every placement, and neither a wipe nor the refusal of its fence lifts it',
    breaks: 'I2',
    shows: 'was used twice',
    scenario: 'cycles',
    edits: [
      { file: OCCUPY, find: ', next_uid = next_uid + 1 WHERE', replace: ' WHERE' },
      { file: OCCUPY, find: ', nodes.next_uid = nodes.next_uid + 1', replace: '' },
      {
        file: 'src/modules/nodes/queries/wipes.ts',
        find: 'next_uid = ?, uid_end = ?,',
        replace: 'next_uid = next_uid + 0 * ?, uid_end = ?,',
      },
      withoutUnique('placements_uid'),
    ],
  },
  {
    name: 'rent-without-key',
    what: 'a repeated rent is not looked up by its key',
    breaks: 'I3',
    shows: 'has two rents',
    scenario: 'fault-injections/keys',
    edits: [
      { file: RENT, find: 'findRentsByKeys(batch, keys)', replace: 'findRentsByKeys(batch, [])' },
      withoutUnique('rents_idempotency'),
    ],
  },
  {
    name: 'extend-without-key',
    what: 'a repeated extension is not looked up by its key',
    breaks: 'I3',
    shows: 'was extended',
    scenario: 'fault-injections/keys',
    edits: [
      { file: EXTEND, find: 'if (idempotencyKey !== null && (await repeats', replace: 'if (idempotencyKey === "" && (await repeats' },
      withoutUnique('extensions_idempotency'),
    ],
  },
  {
    name: 'lost-answer-retried',
    what: 'a COMMIT whose answer was lost is taken for one that failed, and the transaction is run again',
    breaks: 'I3',
    shows: 'asked for',
    scenario: 'fault-injections/lost-answers',
    edits: [
      {
        file: TRANSACTION,
        find: 'if (RETRIABLE.has(sqlCodeOf(error)) &&',
        replace: 'if ((RETRIABLE.has(sqlCodeOf(error)) || isDatabaseGone(error)) &&',
      },
    ],
  },
  {
    name: 'owner-missing',
    what: 'the WHERE that locks a lease to extend or release it does not ask for its owner',
    breaks: 'I3',
    shows: 'whose it is not',
    scenario: 'fault-injections/others',
    edits: [
      {
        file: FIND_LEASES,
        find: "const owner = ownerId === undefined ? '' : 'AND user_id = ?';",
        replace: "const owner = ownerId === undefined ? '' : 'AND user_id <> -?';",
      },
    ],
  },
  {
    name: 'owner-missing-in-list',
    what: "the list of a tenant's leases does not ask for their owner",
    breaks: 'I3',
    shows: 'answered a look',
    scenario: 'fault-injections/others',
    edits: [{ file: LIST_LEASES, find: "['user_id = ?', ownerId]", replace: "['user_id <> -?', ownerId]" }],
  },
  {
    name: 'extended-after-the-end',
    what: 'nothing refuses to extend a lease that is over',
    breaks: 'I4',
    shows: 'was extended after its end',
    scenario: 'fault-injections/ends',
    edits: [{ file: EXTEND, find: '  refuseIfOver(lease);\n', replace: '' }],
  },
  {
    name: 'extension-not-recorded',
    what: 'the end moves, and no extension is written down beside it',
    breaks: 'I4',
    shows: 'what was rented and extended gives',
    scenario: 'fault-injections/ends',
    edits: [
      { file: TRANSITIONS, find: 'ends_at), ? FROM leases WHERE id = ?`', replace: 'ends_at), ? FROM leases WHERE id = ? AND 1 = 0`' },
    ],
  },
  {
    name: 'process-clock',
    what: "leases end by the clock of the process, which is ten minutes ahead, instead of the database's",
    breaks: 'I4',
    shows: 'before its end',
    scenario: 'fault-injections/ends',
    edits: [
      {
        file: TRANSITIONS,
        find: 'WHERE state = ? AND ends_at <= UTC_TIMESTAMP(3) ORDER BY',
        replace: 'WHERE state = ? AND ends_at <= ? ORDER BY',
      },
      {
        file: TRANSITIONS,
        find: '[state, limit - found.length]',
        replace: '[state, new Date(Date.now() + 600_000), limit - found.length]',
      },
    ],
  },
  {
    name: 'expiry-early',
    what: 'leases end two seconds before their time',
    breaks: 'I4',
    shows: 'before its end',
    scenario: 'fault-injections/ends',
    edits: [
      {
        file: TRANSITIONS,
        find: 'WHERE state = ? AND ends_at <= UTC_TIMESTAMP(3) ORDER BY',
        replace: 'WHERE state = ? AND ends_at <= UTC_TIMESTAMP(3) + INTERVAL 2 SECOND ORDER BY',
      },
    ],
  },
  {
    name: 'migration-moves-the-end',
    what: 'a migration makes up for the time that it took',
    breaks: 'I4',
    shows: 'what was rented and extended gives',
    scenario: 'fault-injections/moves',
    edits: [
      {
        file: TRANSITIONS,
        find: 'generation = generation + 1, due_at = NULL',
        replace: 'generation = generation + 1, ends_at = ends_at + INTERVAL 5 SECOND, due_at = NULL',
      },
    ],
  },
];
