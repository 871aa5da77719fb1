import type { EnvReader } from './env';
import { NODE_ROLES } from './setting';

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
  /** Whether accounts admit the gateway alone. */
  only: boolean;
}

const lines = (text: string | undefined): string[] =>
  (text ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
const KEY_BLOCK = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g;
const withoutComment = (line: string): string => line.split(/\s+/).slice(0, 2).join(' ');
const ADDRESS = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/;

export function readGateway(env: EnvReader, roles: readonly string[]): GatewayConfig {
  const hostKey = env.optionalText('ORION_GATEWAY_HOST_KEY', {
    secret: true,
    roles: ['gateway'],
    doc: 'Required by a gateway: private keys by which clients know it. All gateways have the same.',
  });
  const key = env.optionalText('ORION_GATEWAY_KEY', {
    secret: true,
    roles: ['gateway'],
    doc: 'Required by a gateway: private key with which it logs in to accounts.',
  });
  const publicKey = env.optionalText('ORION_GATEWAY_PUBLIC_KEY', {
    roles: [...NODE_ROLES, 'gateway'],
    doc: 'The public half of `ORION_GATEWAY_KEY`, installed for every account. Without it there is no gateway.',
  });
  const [privateKey] = blocksOf(key);
  const address = readAddress(env);
  return {
    host: env.text('ORION_GATEWAY_HOST', { default: '0.0.0.0', roles: ['gateway'], doc: 'Address at which the gateway listens.' }),
    port: env.integer('ORION_GATEWAY_PORT', {
      default: 2222,
      min: 0,
      max: 65_535,
      unit: 'port',
      roles: ['gateway'],
      doc: 'Port of the gateway.',
    }),
    hostKeys: blocksOf(hostKey),
    privateKey,
    publicKey: lines(publicKey).map(withoutComment)[0],
    address,
    forwarding: env.choice('ORION_GATEWAY_FORWARDING', ['local', 'none', 'all'], {
      default: 'local',
      roles: ['gateway'],
      doc: "Where forwardings lead: to the node's own loopback and sockets (`local`), nowhere, or wherever the node lets them.",
    }),
    only: readOnly(env, { publicKey: publicKey !== undefined, address: address !== undefined || !roles.includes('api') }),
  };
}

/** `has`: which of the settings that it requires are set, or not required here. */
function readOnly(env: EnvReader, has: { publicKey: boolean; address: boolean }): boolean {
  const only = env.boolean('ORION_GATEWAY_ONLY', {
    default: false,
    roles: NODE_ROLES,
    doc:
      'Accounts admit nothing but the gateway, so that each login goes through it; rents with a password are refused. ' +
      'The same for all APIs and schedulers. Existing accounts follow within seconds, which ends their sessions once.',
  });
  if (only && !has.publicKey) {
    env.fault('ORION_GATEWAY_ONLY', 'needs ORION_GATEWAY_PUBLIC_KEY: without a gateway nobody could log in');
  }
  if (only && !has.address) {
    env.fault('ORION_GATEWAY_ONLY', 'needs ORION_GATEWAY_ADDRESS: clients get no other address');
  }
  return only;
}

const blocksOf = (keys: string | undefined): string[] => [...(keys ?? '').matchAll(KEY_BLOCK)].map(([block]) => `${block}\n`);

function readAddress(env: EnvReader): GatewayConfig['address'] {
  const text = env.optionalText('ORION_GATEWAY_ADDRESS', { roles: ['api'], doc: '`host:port` at which clients reach the gateway.' });
  const hostKeys = lines(
    env.optionalText('ORION_GATEWAY_HOST_PUBLIC_KEY', {
      roles: ['api'],
      doc: 'Required with the address: public halves of `ORION_GATEWAY_HOST_KEY`, for clients to know the gateway by.',
    }),
  ).map(withoutComment);
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
