import type { EnvReader } from './env';

/** Settings of the gateways. Only the role gateway has the private keys. */
export interface GatewayConfig {
  host: string;
  port: number;
  /** Private keys that identify the gateway to clients. Empty in processes that are not a gateway. */
  hostKeys: string[];
  /** The private key with which the gateway logs in to accounts. Undefined in processes that are not a gateway. */
  privateKey: string | undefined;
  /** The public half, which is installed for every account. Undefined: there is no gateway. */
  publicKey: string | undefined;
  /** Address of the gateway for clients, and its public host keys. Undefined: clients do not get it. */
  address: { host: string; port: number; hostKeys: string[] } | undefined;
  forwarding: 'none' | 'local' | 'all';
  warnSeconds: number[];
  maxConnectionsPerLease: number;
}

const lines = (text: string | undefined): string[] => (text ?? '').split('\n').map((line) => line.trim()).filter((line) => line !== '');
const KEY_BLOCK = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g;
const withoutComment = (line: string): string => line.split(/\s+/).slice(0, 2).join(' ');
const ADDRESS = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/;

export function readGateway(env: EnvReader): GatewayConfig {
  const hostKeys = [...(env.optionalText('ORION_GATEWAY_HOST_KEY', { secret: true }) ?? '').matchAll(KEY_BLOCK)].map(([block]) => `${block}\n`);
  const [privateKey] = [...(env.optionalText('ORION_GATEWAY_KEY', { secret: true }) ?? '').matchAll(KEY_BLOCK)].map(([block]) => `${block}\n`);
  const [publicKey] = lines(env.optionalText('ORION_GATEWAY_PUBLIC_KEY')).map(withoutComment);
  return {
    host: env.text('ORION_GATEWAY_HOST', { default: '0.0.0.0' }),
    port: env.integer('ORION_GATEWAY_PORT', { default: 2222, min: 0, max: 65_535 }),
    hostKeys,
    privateKey,
    publicKey,
    address: readAddress(env),
    forwarding: env.choice('ORION_GATEWAY_FORWARDING', ['local', 'none', 'all'], { default: 'local' }),
    warnSeconds: readWarnings(env),
    maxConnectionsPerLease: env.integer('ORION_GATEWAY_MAX_CONNECTIONS', { default: 20, min: 1, max: 1000 }),
  };
}

function readAddress(env: EnvReader): GatewayConfig['address'] {
  const text = env.optionalText('ORION_GATEWAY_ADDRESS');
  const hostKeys = lines(env.optionalText('ORION_GATEWAY_HOST_PUBLIC_KEY')).map(withoutComment);
  if (text === undefined) {
    return undefined;
  }
  const [, host = '', port = ''] = ADDRESS.exec(text.trim()) ?? [];
  if (host === '' || Number(port) < 1 || Number(port) > 65_535) {
    env.fault('ORION_GATEWAY_ADDRESS', `must be host:port, as clients reach it (it is ${JSON.stringify(text)})`);
  }
  if (hostKeys.length === 0) {
    env.fault('ORION_GATEWAY_HOST_PUBLIC_KEY', 'is required with ORION_GATEWAY_ADDRESS: clients have to know the gateway when they see it');
  }
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port), hostKeys };
}

/** Reads `600,60`, in any order. Empty: no warnings. */
function readWarnings(env: EnvReader): number[] {
  const text = env.text('ORION_GATEWAY_WARN_SECONDS', { default: '600,60' });
  const seconds = text.split(',').map((part) => Number(part.trim()));
  if (seconds.some((value) => !(value >= 0))) {
    env.fault('ORION_GATEWAY_WARN_SECONDS', `must be numbers of seconds separated by commas (it is ${JSON.stringify(text)})`);
  }
  return seconds.filter((value) => value > 0).sort((a, b) => b - a);
}
