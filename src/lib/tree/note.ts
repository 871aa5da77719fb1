import { createHash, verify } from 'node:crypto';
import { ed25519Public } from '../raw-keys';
import type { TreeRoot } from './proofs';

/** The state of a log at one moment: how many entries it has, and the root of their tree. */
export interface Head extends TreeRoot {
  /** Name of the log. */
  origin: string;
  /** When it was signed, by the database's clock. */
  at: Date;
}

/** The public key of a log: `ssh-ed25519 base64`. The name of the log is made of it, so that nobody else can sign for that name. */
export type LogKey = string;

const rawKey = (key: LogKey): Buffer => Buffer.from(key.split(' ')[1] ?? '', 'base64').subarray(-32);

/** Name of the log that this key signs. */
export const originOf = (key: LogKey): string => `orion-audit-${createHash('sha256').update(rawKey(key)).digest('hex').slice(0, 16)}`;

/** Type of an Ed25519 key in signed notes, before the key itself (C2SP signed-note). */
const ED25519 = Buffer.of(1);

const keyIdOf = (key: LogKey): Buffer =>
  createHash('sha256')
    .update(`${originOf(key)}\n`)
    .update(ED25519)
    .update(rawKey(key))
    .digest()
    .subarray(0, 4);

/** The key as programs for signed notes read it: `name+id+base64`. */
export const verifierKeyOf = (key: LogKey): string =>
  `${originOf(key)}+${keyIdOf(key).toString('hex')}+${Buffer.concat([ED25519, rawKey(key)]).toString('base64')}`;

const SSH_KEY = /^ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}(?=\s|$)/;
const VERIFIER_KEY = /^[^\s+]+\+[0-9a-f]{8}\+([A-Za-z0-9+/]{44})$/;

/** Reads a public key in either form. Undefined: the text is no such key. */
export function parseLogKey(text: string): LogKey | undefined {
  const [ssh] = SSH_KEY.exec(text.trim()) ?? [];
  const [, body] = VERIFIER_KEY.exec(text.trim()) ?? [];
  if (body === undefined) {
    return ssh;
  }
  const key = `ssh-ed25519 ${Buffer.concat([SSH_HEAD, Buffer.from(body, 'base64').subarray(1)]).toString('base64')}`;
  return verifierKeyOf(key) === text.trim() ? key : undefined;
}

/** Beginning of an Ed25519 public key in SSH format (RFC 8709). */
const SSH_HEAD = Buffer.from('0000000b7373682d6564323535313900000020', 'hex');

/** Signs a head as a checkpoint (C2SP tlog-checkpoint) with its time as an extension line. `sign` returns base64url. */
export function signHead({ size, root, at }: Omit<Head, 'origin'>, key: { publicKey: LogKey; sign: (data: Buffer) => string }): string {
  const origin = originOf(key.publicKey);
  const text = `${origin}\n${size}\n${root.toString('base64')}\ntime ${at.toISOString()}\n`;
  const signature = Buffer.concat([keyIdOf(key.publicKey), Buffer.from(key.sign(Buffer.from(text)), 'base64url')]);
  return `${text}\n— ${origin} ${signature.toString('base64')}\n`;
}

const NOTE = /^((\S+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\ntime (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\n)\n((?:— \S+ \S+\n)+)$/;

/** Reads a head that the log with this key signed. Undefined: it is no such head. */
export function openHead(note: string, key: LogKey): Head | undefined {
  const [, text = '', origin = '', size = '', root = '', at = '', signatures = ''] = NOTE.exec(note) ?? [];
  const id = keyIdOf(key);
  const isSigned = signatures.split('\n').some((line) => {
    const [, name, encoded = ''] = line.split(' ');
    const bytes = Buffer.from(encoded, 'base64');
    return (
      name === originOf(key) &&
      bytes.subarray(0, 4).equals(id) &&
      verify(null, Buffer.from(text), ed25519Public(rawKey(key)), bytes.subarray(4))
    );
  });
  return isSigned && origin === originOf(key)
    ? { origin, size: Number(size), root: Buffer.from(root, 'base64'), at: new Date(at) }
    : undefined;
}
