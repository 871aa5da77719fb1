import { CliError } from './errors';
import type { Access } from '../contract';

/** The SSH login of a lease: its gateway or its machine. */
export type SshTarget = Pick<Access, 'host' | 'port' | 'username' | 'host_key'>;

const HOST = /^[A-Za-z0-9:][A-Za-z0-9.:_-]{0,252}$/;
const USERNAME = /^[a-z_][a-z0-9_-]{0,31}$/;
const HOST_KEY = /^[a-z0-9@.-]{1,64} [A-Za-z0-9+/=]{1,8192}$/;

/** Returns the target if files and arguments of OpenSSH can contain it literally. Throws otherwise. */
export function checkTarget(target: SshTarget): SshTarget {
  const { host, port, username, host_key } = target;
  const isSane =
    HOST.test(host) && Number.isInteger(port) && port >= 1 && port <= 65_535 && USERNAME.test(username) && HOST_KEY.test(host_key);
  if (!isSane) {
    throw new CliError(
      'The server names a machine that OpenSSH must not be told of: its address, user or host key holds what does not belong there.',
      {
        hint: 'Is that an Orion server? Check with: orion doctor',
      },
    );
  }
  return target;
}

/** Returns the line of a known_hosts file under the name that OpenSSH looks up: without the port when it is 22. */
export function knownHostsLine(target: SshTarget): string {
  return `${knownHostsName(target)} ${target.host_key}\n`;
}

export function knownHostsName({ host, port }: SshTarget): string {
  return port === 22 ? host : `[${host}]:${port}`;
}
