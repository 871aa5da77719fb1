import { type Invariant, violationOf } from '../evidence';

const broken = violationOf('trust');

/** An entry of the audit log proves what its event says: the leaf is the hash of the whole event. */
export const sealedEvents: Invariant = ({ tables: { sealed = [] } }) =>
  sealed
    .filter(({ leaf, hash }) => leaf !== hash)
    .map(({ seq }) => broken(`entry ${seq}`, 'its leaf in the audit log is not the hash of its event'));
