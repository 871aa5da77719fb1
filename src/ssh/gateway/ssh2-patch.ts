import { createRequire } from 'node:module';
import type { Client, Connection } from 'ssh2';

/**
 * Types of what scripts/patch-ssh2.mjs adds to the SSH library (docs/adr/0026-ssh2-patched-in-place.md). Without the patch, a connection
 * with a large packet is cut and no disconnect carries a reason.
 */
interface Patched {
  _protocol: { setMaxPacketSize(bytes: number): void };
}

/** The largest packet that OpenSSH accepts (PACKET_MAX_SIZE in its packet.c). */
const MAX_PACKET_BYTES = 256 * 1024;

/** RFC 4253, section 11.1. */
export const DISCONNECT = { byApplication: 11, noMoreMethods: 14 } as const;
/** RFC 4254, section 5.1. */
export const OPEN_FAILURE = { prohibited: 1, connectFailed: 2, resourceShortage: 4 } as const;

/** Throws when the SSH library is not patched. Must be called before the first connection. */
export function requirePatchedSsh2(): void {
  const protocol = createRequire(import.meta.url)('ssh2/lib/protocol/Protocol.js') as { prototype: Partial<Patched['_protocol']> };
  if (protocol.prototype.setMaxPacketSize === undefined) {
    throw new Error('the SSH library in node_modules is not patched for a gateway: run `npm run build` after `npm ci`');
  }
}

/**
 * Accepts every packet that is legal in SSH from now on. Before the login, the limit is 35,000 bytes, which bounds the cost of an
 * unauthenticated peer.
 */
export function admitFullPackets(connection: Client | Connection): void {
  (connection as unknown as Patched)._protocol.setMaxPacketSize(MAX_PACKET_BYTES);
}

/** Ends the connection of a gateway client with a reason, which the client shows to its user. */
export function endWithReason(connection: Connection, code: number, reason: string): void {
  (connection.end as (code: number, reason: string) => void).call(connection, code, reason);
}

/** Sends a gateway client the reason why a channel does not open. */
export type Refuse = (code: number, reason: string) => void;

/** Returns the command of a session as bytes, because commands may have any encoding. */
export const bytesOf = (info: { command: string }): Buffer => (info as unknown as { commandBytes: Buffer }).commandBytes;
