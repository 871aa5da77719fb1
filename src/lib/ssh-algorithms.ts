/**
 * What the control plane offers to a node's sshd. The agent's preflight reads the same lists, so this file imports nothing.
 *
 * P-256 comes first: sshd leaves it to OpenSSL. It computes Curve25519 in portable code of its own, which takes 2.5 ms more of the node's processor for a
 * login and delays it by 3 ms (OpenSSH 9.2). Then ssh2's own order.
 */
export const KEY_EXCHANGES = [
  'ecdh-sha2-nistp256', 'curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp384', 'ecdh-sha2-nistp521',
  'diffie-hellman-group-exchange-sha256', 'diffie-hellman-group14-sha256', 'diffie-hellman-group16-sha512', 'diffie-hellman-group18-sha512',
] as const;

/** The ciphers that ssh2 offers by itself, in no order: it orders them by what the processor is good at. */
export const CIPHERS = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'chacha20-poly1305@openssh.com', 'aes128-ctr', 'aes192-ctr', 'aes256-ctr'] as const;

/** What a server may sign with under a pinned key of this type. */
export function algorithmsFor(hostKeyType: string): string[] {
  return hostKeyType === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [hostKeyType];
}
