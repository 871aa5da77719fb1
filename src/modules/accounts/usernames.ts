import { sha256 } from '../../lib/ids';

/**
 * Whether the column of names may be asked for it: MariaDB refuses to compare the column with what is not ASCII, and matches a name with blanks at its
 * end to the same name without them. Names from before there was a rule for new ones may hold anything else.
 */
export const couldBeUsername = (text: string): boolean => /^[\x20-\x7e]*[\x21-\x7e]$/.test(text);

/** Longer texts are no names of accounts. */
const MAX_LENGTH = 64;

/**
 * What the attempts to log in as `username` are counted under: the same for all texts that the database may match to one account, by a padding or a
 * folding collation. A hash, because people type their password into the field above it.
 */
export const usernameKey = (username: string): string => sha256(username.slice(0, MAX_LENGTH).trimEnd().toLowerCase());
