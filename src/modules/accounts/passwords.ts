import { hash, verify } from '@node-rs/argon2';

/** OWASP's first choice for argon2id: 19 MiB, two passes, one lane. (Password Storage Cheat Sheet, 2024.) */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

export const hashPassword = (password: string): Promise<string> => hash(password, PARAMETERS);

let decoy: Promise<string> | undefined;

/**
 * Checks a password. Without a stored hash (no such user) it takes as long as with one, so that the response time does not reveal which
 * names exist.
 */
export async function checkPassword(stored: string | undefined, password: string): Promise<boolean> {
  decoy ??= hashPassword('no password equals this one');
  const matches = await verify(stored ?? (await decoy), password);
  return stored !== undefined && matches;
}
