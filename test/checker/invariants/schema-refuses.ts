import { type Invariant, violationOf } from '../evidence';

/**
 * What no claim and no lock has to be trusted with. Its absence cannot be told from what the program does: the rest of it holds as well.
 */
const REFUSED: [string, string, string][] = [
  ['I1', 'leases(occupied_node_id)', 'two leases on one node'],
  ['I2', 'placements(current_lease_id)', 'two current placements of a lease'],
  ['I2', 'placements(lease_id,generation)', 'a generation twice'],
  ['I2', 'placements(node_id,uid)', 'a uid twice on a node'],
  ['I3', 'rents(user_id,idempotency_key)', "a rent's key twice"],
  ['I3', 'extensions(lease_id,idempotency_key)', "an extension's key twice"],
];

/** The schema itself refuses what must never be, whatever the program does. */
export const schemaRefuses: Invariant = ({ tables: { uniqueKeys } }) =>
  REFUSED.filter(([, key]) => !uniqueKeys.includes(key)).map(([invariant, key, what]) =>
    violationOf(invariant)('schema', `${key} is not UNIQUE: the schema does not refuse ${what}`),
  );
