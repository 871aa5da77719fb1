import { isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import { getProxyForUrl } from 'proxy-from-env';
import { parseControlFingerprint } from '../lib/control-key';
import { HOST_NAME, HOST_NAME_RULE } from '../lib/host-name';
import { parseJoinToken } from '../lib/join-token';
import type { LogLevel } from '../lib/logger';
import { parseUidRange, UID_RANGE_RULE } from '../lib/uid-range';
import { readConstants } from './constants';
import { createEnvReader, type EnvReader } from './env';
import { readLogLevel } from './log-level';

/** The agent's configuration, from its environment. Frozen. */
export interface AgentConfig {
  /** Base URL of the control plane, without a trailing slash. */
  endpoint: string;
  /** URL of the HTTP proxy for the endpoint, from `http_proxy`, `https_proxy` and `no_proxy`. Undefined: none. */
  proxy: string | undefined;
  hostname: string;
  /** True: `hostname` is the machine's own name, because MY_HOSTNAME is not set. */
  followsHostname: boolean;
  sshPort: number;
  /** Address to which the control plane connects. Undefined: the address from which it sees the agent's requests come. */
  address: string | undefined;
  /** This machine's own SSH server, at the address that the agent uses. */
  localSsh: { host: string; port: number };
  /** Whether the agent keeps a tunnel to the control plane. */
  tunnel: boolean;
  joinToken: string | undefined;
  /** Fingerprint of the control key, which identifies the control plane to trust. From the settings, else from the join token. */
  controlFingerprint: string | undefined;
  labels: Record<string, string>;
  /** `first-last`: uids that this machine must use. Undefined: the fleet's uids. */
  uidRange: string | undefined;
  /** Absolute path of the node's Orion state. Provisioning writes accounts/ below it. */
  stateDir: string;
  hostKeyFile: string;
  fenceGraceSeconds: number;
  /** About how often the agent asks for the newest head of the audit log. */
  auditHeadSeconds: number;
  /** File with certificates trusted in addition to Node's own, for https. */
  caFile: string | undefined;
  /** Whether the agent changes accounts of this machine at all (management account, self-fencing). */
  manageAccounts: boolean;
  /** Values that replace measured facts. */
  cpus: number | undefined;
  memoryMb: number | undefined;
  logLevel: LogLevel;
}

const LABEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/;
const LABEL_VALUE = /^[A-Za-z0-9._/:@=+ -]{0,128}$/;

const roles = ['agent'] as const;
const LABELS_DOC = '`name=value,name=value`: labels of the machine, for which rents ask as `node/name` ([labels](enrolment.md#labels)).';

/** Reads the agent's configuration. Throws one ConfigError that lists every fault. */
export function loadAgentConfig(env: NodeJS.ProcessEnv): AgentConfig {
  const reader = createEnvReader(env);
  const config = readAgent(reader);
  reader.finish();
  Object.freeze(config.labels);
  return Object.freeze(config);
}

/** Where the agent keeps its state. Commands that only read it need no other setting. */
export const stateDirOf = (env: NodeJS.ProcessEnv): string => readConstants(createEnvReader(env)).stateDir;

export function readAgent(reader: EnvReader): AgentConfig {
  const { fenceGraceSeconds, auditHeadSeconds, manageAccounts, stateDir, cpus, memoryMb } = readConstants(reader);
  const endpoint = reader.url('API_ENDPOINT', { roles, doc: 'URL of the control plane; the installer sets it.' });
  const ssh = readHostPort(reader, 'MY_HOST_PORT', {
    default: '22',
    doc: 'Port, or `host:port`, at which the control plane reaches the sshd of the machine.',
  });
  const joinToken = reader
    .optionalText('ORION_JOIN_TOKEN', {
      secret: true,
      roles,
      doc: 'Admits the machine. Without it the machine waits for an operator.',
    })
    ?.trim();
  refuseStateDir(reader, stateDir);
  return {
    endpoint,
    proxy: readProxy(reader, endpoint),
    ...readHostName(reader),
    sshPort: ssh.port,
    address: readAddress(reader) ?? ssh.host,
    localSsh: readLocalSsh(reader, ssh),
    tunnel: reader.boolean('ORION_TUNNEL', {
      default: true,
      roles,
      doc: 'The agent keeps a tunnel to the control plane, for a machine that accepts no connection ([how](gateway.md)).',
    }),
    joinToken,
    controlFingerprint: readControlFingerprint(reader) ?? parseJoinToken(joinToken ?? '')?.fingerprint,
    labels: readLabels(reader),
    uidRange: readUidRange(reader),
    stateDir,
    hostKeyFile: readAbsolute(reader, 'ORION_HOST_KEY_FILE', {
      default: '/etc/ssh/ssh_host_ed25519_key.pub',
      doc: 'Public host key that identifies the machine; the private key lies beside it.',
    }),
    fenceGraceSeconds,
    auditHeadSeconds,
    caFile: reader.optionalText('ORION_CA_FILE', {
      roles,
      doc: "File with certificates that the agent trusts for https, in addition to Node's own.",
    }),
    manageAccounts,
    cpus: cpus || undefined,
    memoryMb: memoryMb || undefined,
    logLevel: readLogLevel(reader),
  };
}

/** The setting moved what the agent writes. What provisioning writes stayed, so that the agent knew no account and suspended none. */
function refuseStateDir(reader: EnvReader, stateDir: string): void {
  const configured = reader.undocumented('ORION_STATE_DIR');
  if (configured !== undefined && configured.replace(/\/+$/, '') !== stateDir) {
    const problem = `has no effect any more: move the folder to ${stateDir} and remove the setting`;
    reader.fault('ORION_STATE_DIR', `${problem} (it is ${JSON.stringify(configured)})`);
  }
}

function readUidRange(reader: EnvReader): string | undefined {
  const text = reader
    .optionalText('ORION_UID_RANGE', {
      defaultDoc: "the fleet's",
      roles,
      doc: '`first-last`: the uids that tenants get on this machine, where those of the fleet do not suit ([which](enrolment.md#uids)).',
    })
    ?.trim();
  if (text !== undefined && parseUidRange(text) === undefined) {
    reader.fault('ORION_UID_RANGE', `${UID_RANGE_RULE} (it is ${JSON.stringify(text)})`);
  }
  return text;
}

/**
 * Reads the proxy by the rules of the library, which reads the environment of the process itself. Faults show no value, because it may
 * contain a password.
 */
function readProxy(reader: EnvReader, endpoint: string): string | undefined {
  const proxy = getProxyForUrl(endpoint);
  if (proxy !== '' && !(URL.canParse(proxy) && /^https?:$/.test(new URL(proxy).protocol))) {
    reader.fault(`${endpoint.split(':', 1)[0] ?? ''}_proxy`, 'must be the URL of an HTTP proxy: http://host:port');
  }
  return proxy || undefined;
}

type Described = { default: string; defaultDoc?: string; doc: string };

/** Reads `22`, `:22`, `host:22` or `[v6]:22`. */
function readHostPort(reader: EnvReader, name: string, about: Described): { host: string | undefined; port: number } {
  const text = reader.text(name, { ...about, roles }).trim();
  const match = /^(?:(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))?:)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || !(port >= 1 && port <= 65_535)) {
    reader.fault(name, `must be a port or host:port (it is ${JSON.stringify(text)})`);
    return { host: undefined, port: 22 };
  }
  return { host: match[1] ?? match[2], port };
}

/** Reads where the agent finds its own sshd. It is a separate setting, because the advertised port may be mapped to another on the way. */
function readLocalSsh(reader: EnvReader, advertised: { port: number }): { host: string; port: number } {
  const { host, port } = readHostPort(reader, 'ORION_LOCAL_SSH', {
    default: String(advertised.port),
    defaultDoc: '`127.0.0.1` and the port of `MY_HOST_PORT`',
    doc: "Where the agent finds the machine's own sshd.",
  });
  return { host: host ?? '127.0.0.1', port };
}

function readControlFingerprint(reader: EnvReader): string | undefined {
  const text = reader.optionalText('ORION_CONTROL_FINGERPRINT', {
    defaultDoc: 'that of the join token',
    roles,
    doc: 'Fingerprint of the control key: which control plane the agent trusts. The installer sets it.',
  });
  const fingerprint = text === undefined ? undefined : parseControlFingerprint(text);
  if (text !== undefined && fingerprint === undefined) {
    reader.fault(
      'ORION_CONTROL_FINGERPRINT',
      `must be the fingerprint of the control key, as ssh-keygen -l prints it (it is ${JSON.stringify(text)})`,
    );
  }
  return fingerprint;
}

/** Reads the machine's name. The control plane has the same rule, so a machine with another name could never register. */
function readHostName(reader: EnvReader): Pick<AgentConfig, 'hostname' | 'followsHostname'> {
  const set = reader.optionalText('MY_HOSTNAME', { defaultDoc: "the machine's own", roles, doc: 'Name of the node.' })?.trim();
  const name = set ?? hostname();
  if (!HOST_NAME.test(name)) {
    const source = set === undefined ? 'it is not set, and this machine is called' : 'it is';
    reader.fault('MY_HOSTNAME', `must be a host name: ${HOST_NAME_RULE} (${source} ${JSON.stringify(name)})`);
  }
  return { hostname: name, followsHostname: set === undefined };
}

function readAddress(reader: EnvReader): string | undefined {
  const address = reader
    .optionalText('MY_ADDRESS', {
      defaultDoc: 'the host of `MY_HOST_PORT`, or the address that the agent calls from',
      roles,
      doc: 'Name or address at which the control plane reaches the machine.',
    })
    ?.trim();
  if (address !== undefined && !HOST_NAME.test(address) && !isIPv6(address)) {
    reader.fault('MY_ADDRESS', `must be a host name or an IP address (it is ${JSON.stringify(address)})`);
  }
  return address;
}

function readAbsolute(reader: EnvReader, name: string, about: Described): string {
  const path = reader.text(name, { ...about, roles });
  if (!path.startsWith('/') || path.split('/').includes('..')) {
    reader.fault(name, `must be an absolute path (it is ${JSON.stringify(path)})`);
  }
  return path.replace(/(.)\/+$/, '$1');
}

function readLabels(reader: EnvReader): Record<string, string> {
  const pairs = (reader.optionalText('ORION_LABELS', { roles, doc: LABELS_DOC }) ?? '').split(',').map((pair) => pair.trim());
  const labels: Record<string, string> = {};
  for (const pair of pairs.filter((text) => text !== '')) {
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/.exec(pair) ?? [];
    if (!LABEL_NAME.test(name) || !LABEL_VALUE.test(value)) {
      reader.fault('ORION_LABELS', `must be name=value pairs separated by commas (${JSON.stringify(pair)} is none)`);
      continue;
    }
    labels[name] = value;
  }
  return labels;
}
