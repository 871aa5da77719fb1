import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { CliError } from './errors';
import type { Session } from './session';
import { quotePath } from './ssh-config';
import { checkTarget, knownHostsLine, type SshTarget } from './ssh-target';

/**
 * Logs in to a lease with the OpenSSH client, which inherits stdin, stdout and stderr of this process. Resolves with the client's exit
 * code.
 */
export async function runSsh({ store, api }: Session, login: { leaseId: number; target: SshTarget }, command: string[]): Promise<number> {
  const target = checkTarget(login.target);
  const knownHosts = await store.pinHostKeys(login.leaseId, knownHostsLine(target));
  const privateKey = await store.findLeaseKey(api.server, login.leaseId);
  return spawnSsh(sshArguments(target, { knownHosts, privateKey }, command));
}

interface SshFiles {
  knownHosts: string;
  /** Undefined: OpenSSH chooses the keys. */
  privateKey: string | undefined;
}

/**
 * Returns the arguments for ssh: only the pinned host key is accepted, and only the lease's key, if known, is offered. Options of
 * ~/.ssh/config that do not contradict them apply.
 */
function sshArguments({ host, port, username }: SshTarget, { knownHosts, privateKey }: SshFiles, command: string[]): string[] {
  const options = {
    UserKnownHostsFile: quotePath(knownHosts),
    GlobalKnownHostsFile: '/dev/null',
    StrictHostKeyChecking: 'yes',
    UpdateHostKeys: 'no',
    // The session ends about 30 s after the machine died, so that the terminal does not hang.
    ServerAliveInterval: '10',
    ServerAliveCountMax: '3',
    ...(privateKey === undefined ? {} : { IdentityFile: quotePath(privateKey), IdentitiesOnly: 'yes' }),
  };
  const settings = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  return [...settings, '-p', String(port), '-l', username, '--', host, ...command];
}

function spawnSsh(args: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn('ssh', args, { stdio: 'inherit' });
    // The terminal sends Ctrl-C to ssh as well. This process ignores it and stays, in order to return the exit code of ssh.
    const ignore = (): void => undefined;
    const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on('SIGINT', ignore);
    process.on('SIGTERM', forward);
    process.on('SIGHUP', forward);
    const restore = (): void => {
      process.off('SIGINT', ignore);
      process.off('SIGTERM', forward);
      process.off('SIGHUP', forward);
    };
    child.once('error', (cause) => {
      restore();
      reject(
        new CliError(`The OpenSSH client cannot be started: ${cause.message}`, {
          hint: 'Install it (Debian: apt install openssh-client).',
          cause,
        }),
      );
    });
    child.once('exit', (code, signal) => {
      restore();
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}
