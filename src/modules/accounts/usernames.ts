import { sha256 } from '../../lib/ids';

/**
 * Returns whether a query may compare the column of names with the text. MariaDB refuses to compare the column with text that is not ASCII,
 * and matches a name with trailing spaces to the same name without them. Names from before the rule for new names may contain anything
 * else.
 */
export const couldBeUsername = (text: string): boolean => /^[\x20-\x7e]*[\x21-\x7e]$/.test(text);

/** No username is longer. */
const MAX_LENGTH = 64;

/**
 * Returns the key under which login attempts as `username` are counted. It is the same for all texts that the database may match to one
 * user, by a padding or a folding collation. It is a hash, because people type their password into the field above it.
 */
export const usernameKey = (username: string): string => sha256(username.slice(0, MAX_LENGTH).trimEnd().toLowerCase());
