import type { Client, ParsedKey } from 'ssh2';

type Sign = (data: Buffer, send: (signature: Buffer) => void) => void;
/** Sends a query whether a public key would do, or with `sign` logs in with it. */
type TryKey = (...attempt: [username: string, key: ParsedKey, algorithm: string | undefined, sign?: Sign]) => void;
/** Where the SSH library keeps that function. Its types do not contain it. */
interface Insides {
  _protocol?: { authPK?: TryKey };
}

/**
 * Makes the SSH library sign its first attempt with a key, as RFC 4252 (section 7) allows. By default, the library first sends a query
 * whether the key would do. sshd answers the query after a deliberate pause of 5 to 9 ms (`ensure_minimum_time_since` in its auth2.c), and
 * a distant node costs one more round trip. For RSA keys the query stays, because the signature depends on what the server can read. It
 * also stays when the library has other internals than expected.
 *
 * Must be called when the library has begun to connect.
 */
export function signAtOnce(client: Client): void {
  const protocol = (client as unknown as Insides)._protocol;
  const tryKey = protocol?.authPK?.bind(protocol);
  if (!protocol || !tryKey) {
    return;
  }
  protocol.authPK = (...attempt) => {
    const [username, key, algorithm, sign] = attempt;
    if (sign || algorithm !== undefined) {
      tryKey(...attempt);
      return;
    }
    tryKey(username, key, algorithm, (data, send) => {
      const signature = key.sign(data) as Buffer | Error;
      if (signature instanceof Error) {
        // The library then meets the same error and reports it.
        tryKey(username, key, algorithm);
        return;
      }
      send(signature);
    });
  };
}
