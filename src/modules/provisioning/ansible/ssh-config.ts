import type { NodeTarget } from '../types';

const HOST_KEY = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-[a-z0-9@.-]+) [A-Za-z0-9+/]+={0,2}$/;
const ADDRESS = /^[A-Za-z0-9:][A-Za-z0-9._:%-]*$/;
const CONNECT_TIMEOUT_SECONDS = 10;

/** Returns what is wrong with a target, or undefined. Address and key come from the node itself and are written to configuration files. */
export function faultOfTarget(target: NodeTarget): string | undefined {
  if (!ADDRESS.test(target.address)) {
    return 'the address of the node is not a host name or an IP address';
  }
  if (!Number.isInteger(target.port) || target.port < 1 || target.port > 65_535) {
    return 'the port of the node is not a port';
  }
  return HOST_KEY.test(target.hostKey) ? undefined : 'the pinned host key of the node is not a public key';
}

export const hostAlias = (target: NodeTarget): string => `node-${String(target.nodeId)}`;

/** The only line of a run's known_hosts file. */
export const knownHosts = (target: NodeTarget): string => `${hostAlias(target)} ${target.hostKey}\n`;

/**
 * Builds the ssh_config(5) of one run, which replaces the user's and the system's files (`ssh -F`). It accepts only the pinned key, and
 * negotiates only keys of its type, because another key of the same node counts as another machine. There is no ControlMaster. Each play is
 * one task and so one connection, and a master costs more than it saves (docs in playbooks/README.md).
 */
export function sshConfig(target: NodeTarget, files: { privateKey: string; knownHosts: string; proxy?: ProxyFiles }): string {
  const options: [string, string][] = [
    ['HostKeyAlias', hostAlias(target)],
    ['HostKeyAlgorithms', hostKeyAlgorithms(target.hostKey)],
    ['StrictHostKeyChecking', 'yes'],
    ['UserKnownHostsFile', quoted(files.knownHosts)],
    ['GlobalKnownHostsFile', '/dev/null'],
    ['UpdateHostKeys', 'no'],
    ['CheckHostIP', 'no'],
    ['IdentityFile', quoted(files.privateKey)],
    ['IdentitiesOnly', 'yes'],
    ['IdentityAgent', 'none'],
    ['BatchMode', 'yes'],
    ['ForwardAgent', 'no'],
    ['ConnectTimeout', String(CONNECT_TIMEOUT_SECONDS)],
    ['ServerAliveInterval', '5'],
    ['ServerAliveCountMax', '3'],
    ['ControlMaster', 'no'],
    ['ControlPath', 'none'],
    ['LogLevel', 'INFO'], // at ERROR, ssh does not report that no host key type matches
    ...(files.proxy ? proxyOptions(files.proxy) : []),
  ];
  return `Host *\n${options.map(([name, value]) => `  ${name} ${value}\n`).join('')}`;
}

/**
 * A command that connects to a UNIX socket and passes the descriptor to ssh. ssh then uses the socket directly, without a process in
 * between.
 */
export interface ProxyFiles {
  command: string;
  socket: string;
}

function proxyOptions({ command, socket }: ProxyFiles): [string, string][] {
  const shellQuoted = [command, socket].map((path) => `'${path.replaceAll("'", `'\\''`).replaceAll('%', '%%')}'`);
  return [
    ['ProxyCommand', `python3 ${shellQuoted.join(' ')}`],
    ['ProxyUseFdpass', 'yes'],
  ];
}

function hostKeyAlgorithms(hostKey: string): string {
  const type = hostKey.split(' ')[0] ?? '';
  return type === 'ssh-rsa' ? 'rsa-sha2-512,rsa-sha2-256' : type;
}

/** Quotes a path for ssh_config: blanks inside quotes, `%` doubled because ssh expands it. */
function quoted(path: string): string {
  if (/["\n]/.test(path)) {
    throw new Error('a path with a quote or a newline cannot be given to ssh');
  }
  return `"${path.replaceAll('%', '%%')}"`;
}
