import { CliError } from './errors';
import { checkTarget, knownHostsLine, knownHostsName, type SshTarget } from './ssh-target';

/** A lease as a host in the configuration of OpenSSH. */
export interface SshHost {
  leaseId: number;
  target: SshTarget;
  /** Undefined: OpenSSH chooses the keys. */
  privateKey: string | undefined;
}

const HEAD = '# Written by `orion config-ssh`, which writes it anew each time.\n';

export const nameOf = (leaseId: number): string => `orion-${leaseId}`;

/** Renders one Host block for each lease. Throws for a target or a path that an ssh_config cannot contain literally. */
export function renderSshConfig(hosts: SshHost[], knownHostsFile: string): string {
  return HEAD + hosts.map((host) => renderHost(host, quotePath(knownHostsFile))).join('');
}

/**
 * Options that a `Host *` block of the user must not set for a lease. OpenSSH uses the first value of each option, and this block comes
 * first. OpenSSH knows all of these names since 7.6 (2017). A release that does not know a name refuses the whole file.
 */
const NOT_INHERITED = [
  'ProxyJump none',
  'ProxyCommand none',
  'RemoteCommand none',
  'RequestTTY auto',
  'ControlMaster no',
  'ControlPath none',
  'CanonicalizeHostname no',
  'PubkeyAuthentication yes',
  'PreferredAuthentications publickey,keyboard-interactive,password',
  'CheckHostIP no',
  'VerifyHostKeyDNS no',
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
    // The name of the pinned key in known_hosts. It overrides an alias of the user.
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

/** Signature algorithms that a server may use with its pinned key. */
function algorithmsOf({ host_key }: SshTarget): string {
  const [type = ''] = host_key.split(' ');
  return type === 'ssh-rsa' ? RSA : type;
}

/** Renders one line for each machine or gateway. */
export function renderKnownHosts(hosts: SshHost[]): string {
  return HEAD + [...new Set(hosts.map(({ target }) => knownHostsLine(checkTarget(target))))].join('');
}

/**
 * Returns the line with which another ssh_config includes this file. Refuses paths with pattern characters, which `Include` expands, and
 * with `%`, which OpenSSH releases treat differently.
 */
export function renderInclude(path: string): string {
  return `Include ${quotePath(refuse(/[%*?[]/, path))}\n`;
}

/** Quotes a path as a value of ssh_config. Throws for `${` and quotation marks, which a value cannot contain literally; doubles `%`. */
export function quotePath(path: string): string {
  return `"${refuse(/["\\\n\r]|\$\{/, path).replaceAll('%', '%%')}"`;
}

function refuse(characters: RegExp, path: string): string {
  if (characters.test(path)) {
    throw new CliError(`${JSON.stringify(path)} is a path that OpenSSH's configuration cannot hold.`, {
      hint: 'Put it elsewhere; ORION_CONFIG_DIR names the folder of the configuration.',
    });
  }
  return path;
}
