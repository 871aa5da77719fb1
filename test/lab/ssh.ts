import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../src/lib/ids';
import { run, runOrThrow, type RunResult } from './run';

export interface SshKeyPair {
  /** Path of the file with the private key. */
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
  /** The only accepted host key, as `type base64`. */
  hostKey: string;
}

export interface SshExecOptions {
  /** Default 15 s. */
  timeoutMs?: number;
  input?: string;
  /** Requests a terminal even though there is none here. */
  tty?: boolean;
  /** Further arguments of ssh, before the destination. */
  args?: string[];
}

/**
 * Runs a command with the OpenSSH client. `code` is the command's own exit code. It is 255 when the connection failed or the host key did
 * not match, and null after `timeoutMs`.
 */
export function sshExec(target: SshTarget, command: string, options: SshExecOptions = {}): Promise<RunResult> {
  const args = [...sshOptions(target), ...(options.tty ? ['-tt'] : []), ...(options.args ?? []), destination(target), command];
  return run('ssh', args, { timeoutMs: options.timeoutMs ?? 15_000, input: options.input });
}

/** Returns options for ssh, scp and sftp. They pin the host key, use only this key, and read no file of the user who runs the tests. */
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

/**
 * Writes the known_hosts file beside the key, so that both are removed together. It is written atomically, because a client that was just
 * started may be reading it.
 */
function pinHostKey({ address, port, hostKey, keyFile }: SshTarget): string {
  // OpenSSH's own form: it omits the standard port.
  const line = `${port === 22 ? address : `[${address}]:${port}`} ${hostKey}\n`;
  const file = `${keyFile}.known_hosts.${sha256(line).slice(0, 16)}`;
  if (!existsSync(file)) {
    const draft = `${file}.${randomUUID()}`;
    writeFileSync(draft, line);
    renameSync(draft, file);
  }
  return file;
}
