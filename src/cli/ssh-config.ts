import { CliError } from './errors';
import { checkTarget, knownHostsLine, type SshTarget } from './ssh-target';

/** A lease as OpenSSH is to know it. */
export interface SshHost {
  leaseId: number;
  target: SshTarget;
  /** Undefined: OpenSSH's own choice of keys. */
  privateKey: string | undefined;
}

const HEAD = '# Written by `orion config-ssh`, which writes it anew each time.\n';

export const nameOf = (leaseId: number): string => `orion-${leaseId}`;

/** One Host block a lease. Throws for a target or a path that an ssh_config cannot hold as what it is. */
export function renderSshConfig(hosts: SshHost[], knownHostsFile: string): string {
  return HEAD + hosts.map((host) => renderHost(host, quotePath(knownHostsFile))).join('');
}

function renderHost({ leaseId, target, privateKey }: SshHost, knownHosts: string): string {
  const { host, port, username } = checkTarget(target);
  const lines = [
    `HostName ${host}`,
    `Port ${port}`,
    `User ${username}`,
    ...(privateKey === undefined ? [] : [`IdentityFile ${quotePath(privateKey)}`, 'IdentitiesOnly yes']),
    `UserKnownHostsFile ${knownHosts}`,
    'GlobalKnownHostsFile /dev/null',
    'StrictHostKeyChecking yes',
    'UpdateHostKeys no',
    'ServerAliveInterval 10',
    'ServerAliveCountMax 3',
  ];
  return `\nHost ${nameOf(leaseId)}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

/** One line a machine or gateway. */
export function renderKnownHosts(hosts: SshHost[]): string {
  return HEAD + [...new Set(hosts.map(({ target }) => knownHostsLine(checkTarget(target))))].join('');
}

/** The line with which another ssh_config takes this one in. `Include` reads patterns, and `%` as different releases see fit. */
export function renderInclude(path: string): string {
  return `Include ${quotePath(refuse(/[%*?[]/, path))}\n`;
}

/** A path as a value of ssh_config, where `%` and `${` begin something else and a quotation mark has no way in. */
export function quotePath(path: string): string {
  return `"${refuse(/["\\\n\r]|\$\{/, path).replaceAll('%', '%%')}"`;
}

function refuse(characters: RegExp, path: string): string {
  if (characters.test(path)) {
    throw new CliError(`${JSON.stringify(path)} is a path that OpenSSH's configuration cannot hold.`, { hint: 'Put it elsewhere; ORION_CONFIG_DIR names the folder of the configuration.' });
  }
  return path;
}
