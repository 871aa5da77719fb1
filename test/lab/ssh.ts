import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../src/lib/ids';
import { run, runOrThrow, type RunResult } from './run';

export interface SshKeyPair {
  /** File with the private key. */
  keyFile: string;
  /** One line: type, base64, comment. */
  publicKey: string;
}

let keys = 0;

/** A new ed25519 key pair in `dir`. */
export async function generateSshKeyPair(dir: string, comment = 'lab'): Promise<SshKeyPair> {
  const keyFile = join(dir, `id_ed25519_${process.pid}_${++keys}`);
  mkdirSync(dir, { recursive: true });
  await runOrThrow('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', keyFile]);
  return { keyFile, publicKey: readFileSync(`${keyFile}.pub`, 'utf8').trim() };
}

export interface SshTarget {
  address: string;
  port: number;
  user: string;
  keyFile: string;
  /** The one host key that is accepted: `type base64`. */
  hostKey: string;
}

export interface SshExecOptions {
  /** Default 15 s. */
  timeoutMs?: number;
  input?: string;
  /** Asks for a terminal even though there is none here. */
  tty?: boolean;
  /** Further arguments of ssh, before the destination. */
  args?: string[];
}

/**
 * Runs a command through the OpenSSH client. `code` is the command's own, 255 when the connection failed or the host key is another
 * one, and null when `timeoutMs` was over.
 */
export function sshExec(target: SshTarget, command: string, options: SshExecOptions = {}): Promise<RunResult> {
  const args = [...sshOptions(target), ...(options.tty ? ['-tt'] : []), ...(options.args ?? []), destination(target), command];
  return run('ssh', args, { timeoutMs: options.timeoutMs ?? 15_000, input: options.input });
}

/** Options for ssh, scp and sftp that pin the host key, use this key alone and read no file of the user who runs the tests. */
export function sshOptions(target: SshTarget): string[] {
  const settings = {
    BatchMode: 'yes',
    IdentitiesOnly: 'yes',
    IdentityFile: `"${target.keyFile}"`,
    UserKnownHostsFile: `"${pinHostKey(target)}"`,
    GlobalKnownHostsFile: '/dev/null',
    StrictHostKeyChecking: 'yes',
    UpdateHostKeys: 'no',
    LogLevel: 'ERROR',
    Port: String(target.port),
  };
  return ['-F', '/dev/null', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
}

function destination(target: SshTarget): string {
  return `${target.user}@${target.address}`;
}

/** The known_hosts file lies beside the key, so that it goes with it. It is put there whole: a client that was started a moment ago may be reading it. */
function pinHostKey({ address, port, hostKey, keyFile }: SshTarget): string {
  // As OpenSSH writes and looks for it: the standard port is never named.
  const line = `${port === 22 ? address : `[${address}]:${port}`} ${hostKey}\n`;
  const file = `${keyFile}.known_hosts.${sha256(line).slice(0, 16)}`;
  if (!existsSync(file)) {
    const draft = `${file}.${randomUUID()}`;
    writeFileSync(draft, line);
    renameSync(draft, file);
  }
  return file;
}
