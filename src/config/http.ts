import { parseBaseUrl } from '../lib/base-url';
import type { EnvReader } from './env';
import { type LimitsConfig, readLimits } from './limits';
import { DATABASE_ROLES } from './setting';

export interface HttpConfig {
  http: { host: string; port: number; agentsPort: number; trustProxy: string | false; publicUrl: string | undefined; drainSeconds: number };
  ops: OpsConfig;
  /** Where the rest of the control plane reaches the tunnels of this process. Host undefined: the address that the database sees. */
  relay: { host: string | undefined; port: number };
  limits: LimitsConfig;
}

export interface OpsConfig {
  host: string;
  port: number;
}

const MAX_PORT = 65_535;

export function readHttp(env: EnvReader, loginsPerName: number): HttpConfig {
  return {
    http: {
      host: env.text('ORION_HTTP_HOST', {
        default: '0.0.0.0',
        roles: ['api'],
        doc: 'Address at which the API listens, for people and for agents.',
      }),
      port: env.integer('ORION_HTTP_PORT', { default: 3000, min: 0, max: MAX_PORT, unit: 'port', roles: ['api'], doc: 'Port of the API.' }),
      agentsPort: env.integer('ORION_AGENTS_PORT', {
        default: 3001,
        min: 0,
        max: MAX_PORT,
        unit: 'port',
        roles: ['api'],
        doc:
          'Port for the calls of agents. It has upstreams in the proxy and database connections of its own, so that no other caller ' +
          'keeps an agent waiting.',
      }),
      trustProxy: readTrustProxy(env),
      publicUrl: readPublicUrl(env),
      drainSeconds: env.seconds('ORION_DRAIN_SECONDS', {
        default: 3,
        min: 0,
        max: 300,
        roles: ['api'],
        doc: 'Time between "not ready" and the closing of the port. Give a proxy that checks `/readyz` less often more time.',
      }),
    },
    ops: readOps(env),
    relay: {
      host: readRelayHost(env),
      port: env.integer('ORION_RELAY_PORT', {
        default: 0,
        defaultDoc: 'any',
        min: 0,
        max: MAX_PORT,
        unit: 'port',
        roles: ['api'],
        doc: 'Port of the relay. Set it where a firewall stands between the processes of the control plane.',
      }),
    },
    limits: readLimits(env, loginsPerName),
  };
}

export function readOps(env: EnvReader): OpsConfig {
  return {
    host: env.text('ORION_OPS_HOST', {
      default: '0.0.0.0',
      roles: DATABASE_ROLES,
      doc: 'Address of the operations port. It asks for no login: keep it inside.',
    }),
    port: env.integer('ORION_OPS_PORT', {
      default: 9464,
      min: 0,
      max: MAX_PORT,
      unit: 'port',
      roles: DATABASE_ROLES,
      doc: 'Operations port: `/livez`, `/readyz`, `/metrics`. Processes of one machine need different ones.',
    }),
  };
}

function readTrustProxy(env: EnvReader): string | false {
  const proxy = env.text('ORION_TRUST_PROXY', {
    default: 'false',
    roles: ['api'],
    doc: 'Whose `X-Forwarded-For` is believed: `loopback`, or addresses.',
  });
  return proxy === 'false' ? false : proxy;
}

/** The others are told to go there, so it has to be one address and not all of them. */
function readRelayHost(env: EnvReader): string | undefined {
  const host = env.optionalText('ORION_RELAY_HOST', {
    defaultDoc: 'the address that the database sees',
    roles: ['api'],
    doc: 'Address at which the rest of the control plane reaches the tunnels of this replica ([gateway](gateway.md)).',
  });
  if (host === '0.0.0.0' || host === '::') {
    env.fault('ORION_RELAY_HOST', 'must be the address at which the rest of the control plane reaches this process');
  }
  return host;
}

function readPublicUrl(env: EnvReader): string | undefined {
  const text = env
    .optionalText('ORION_PUBLIC_URL', {
      defaultDoc: "the request's own",
      roles: ['api'],
      doc: '`https://host[:port]` at which machines reach the API. It is written into `/install.sh`.',
    })
    ?.trim();
  const url = text === undefined ? undefined : parseBaseUrl(text.replace(/\/$/, ''));
  if (text !== undefined && url === undefined) {
    env.fault('ORION_PUBLIC_URL', `must be https://host or https://host:port (it is ${JSON.stringify(text)})`);
  }
  return url;
}
