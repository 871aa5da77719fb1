import { CliError } from './errors';
import { checkTarget, knownHostsLine, knownHostsName, type SshTarget } from './ssh-target';

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

/**
 * What a `Host *` of the user's must not decide for a lease. OpenSSH takes the first value of each, and this block comes first. Each name is one that
 * OpenSSH has known since 7.6 (2017): an older one would refuse the whole file.
 */
const NOT_INHERITED = [
  'ProxyJump none', 'ProxyCommand none', 'RemoteCommand none', 'RequestTTY auto', 'ControlMaster no', 'ControlPath none', 'CanonicalizeHostname no',
  'PubkeyAuthentication yes', 'PreferredAuthentications publickey,keyboard-interactive,password', 'CheckHostIP no', 'VerifyHostKeyDNS no',
];

function renderHost({ leaseId, target, privateKey }: SshHost, knownHosts: string): string {
  const { host, port, username } = checkTarget(target);
  const lines = [
    `HostName ${host}`,
    `Port ${port}`,
    `User ${username}`,
    ...NOT_INHERITED,
    ...(privateKey === undefined ? ['IdentitiesOnly no'] : [`IdentityFile ${quotePath(privateKey)}`, 'IdentitiesOnly yes']),
    `UserKnownHostsFile ${knownHosts}`,
    'GlobalKnownHostsFile /dev/null',
    // The name under which the pinned key stands, in the place of an alias of the user's.
    `HostKeyAlias ${knownHostsName(target)}`,
    `HostKeyAlgorithms ${algorithmsOf(target)}`,
    'StrictHostKeyChecking yes',
    'UpdateHostKeys no',
    'ServerAliveInterval 10',
    'ServerAliveCountMax 3',
  ];
  return `\nHost ${nameOf(leaseId)}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

const RSA = 'rsa-sha2-512,rsa-sha2-256';

/** With which a server may sign under its pinned key. */
function algorithmsOf({ host_key }: SshTarget): string {
  const [type = ''] = host_key.split(' ');
  return type === 'ssh-rsa' ? RSA : type;
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
