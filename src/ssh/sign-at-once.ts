import type { Client, ParsedKey } from 'ssh2';

type Sign = (data: Buffer, send: (signature: Buffer) => void) => void;
/** Asks whether a public key would do, or with `sign` logs in with it. */
type TryKey = (...attempt: [username: string, key: ParsedKey, algorithm: string | undefined, sign?: Sign]) => void;
/** Where the SSH library keeps it; not among its types. */
interface Insides {
  _protocol?: { authPK?: TryKey };
}

/**
 * Has the SSH library sign its first attempt with a key, as RFC 4252 (section 7) allows, instead of asking first whether the key would do. sshd answers that
 * question after a pause of 5 to 9 ms on purpose (`ensure_minimum_time_since` in its auth2.c), and a node that is far away after a round trip. For RSA keys,
 * whose signature depends on what the server can read, it goes on asking; so it does where the library is made in another way than this one knows.
 *
 * To be called when the library has begun to connect.
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
        // The library meets that once more, and knows how to say so.
        tryKey(username, key, algorithm);
        return;
      }
      send(signature);
    });
  };
}
