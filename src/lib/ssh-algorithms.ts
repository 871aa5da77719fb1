/**
 * Key exchanges that the control plane offers to a node's sshd. The agent's preflight reads the same lists, so this file imports nothing.
 *
 * P-256 comes first, because sshd computes it with OpenSSL. For Curve25519, sshd has portable code of its own. That code takes 2.5 ms more
 * of the node's processor for a login, and delays it by 3 ms (OpenSSH 9.2). The others are in ssh2's own order.
 */
export const KEY_EXCHANGES = [
  'ecdh-sha2-nistp256',
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp384',
  'ecdh-sha2-nistp521',
  'diffie-hellman-group-exchange-sha256',
  'diffie-hellman-group14-sha256',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group18-sha512',
] as const;

/** The ciphers that ssh2 offers by default. Their order has no meaning: ssh2 orders them by the capabilities of the processor. */
export const CIPHERS = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'chacha20-poly1305@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
] as const;

/** Returns the signature algorithms that a server may use with a pinned key of this type. */
export function algorithmsFor(hostKeyType: string): string[] {
  return hostKeyType === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [hostKeyType];
}
