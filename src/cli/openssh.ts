import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { CliError } from './errors';
import type { Session } from './session';
import { quotePath } from './ssh-config';
import { checkTarget, knownHostsLine, type SshTarget } from './ssh-target';

/** Logs in to a lease with the OpenSSH client, which gets this process's own input and output. Resolves with its exit code. */
export async function runSsh({ store, api }: Session, login: { leaseId: number; target: SshTarget }, command: string[]): Promise<number> {
  const target = checkTarget(login.target);
  const knownHosts = await store.pinHostKeys(login.leaseId, knownHostsLine(target));
  const privateKey = await store.findLeaseKey(api.server, login.leaseId);
  return spawnSsh(sshArguments(target, { knownHosts, privateKey }, command));
}

interface SshFiles {
  knownHosts: string;
  /** Undefined: OpenSSH's own choice of keys. */
  privateKey: string | undefined;
}

/** Arguments for ssh: the pinned host key and no other, the lease's key and no other. Options of ~/.ssh/config that do not contradict apply. */
function sshArguments({ host, port, username }: SshTarget, { knownHosts, privateKey }: SshFiles, command: string[]): string[] {
  const options = {
    UserKnownHostsFile: quotePath(knownHosts),
    GlobalKnownHostsFile: '/dev/null',
    StrictHostKeyChecking: 'yes',
    UpdateHostKeys: 'no',
    // A machine that died must not hold the terminal for ever.
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
    // Ctrl-C reaches ssh by itself; this process stays to pass its exit code on.
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
      reject(new CliError(`The OpenSSH client cannot be started: ${cause.message}`, { hint: 'Install it (Debian: apt install openssh-client).', cause }));
    });
    child.once('exit', (code, signal) => {
      restore();
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}
