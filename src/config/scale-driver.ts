import type { LogLevel } from '../lib/logger';
import { createEnvReader, type EnvReader } from './env';
import { readLogLevel } from './log-level';
import { readServiceBounds, type ServiceBounds } from './scale-bounds';

export interface ScaleDriverConfig {
  logLevel: LogLevel;
  /** Address of the scale driver's API. Port 0: any free port. */
  http: { host: string; port: number };
  dockerSocket: string;
  driver: 'compose' | 'swarm';
  /** Undefined: the project of its own container. */
  project: string | undefined;
  services: ServiceBounds;
}

/** Reads the settings of the role scale-driver: the Docker socket, and no secret. Throws one ConfigError that lists every fault. */
export function loadScaleDriverConfig(source: NodeJS.ProcessEnv): Readonly<ScaleDriverConfig> {
  const env = createEnvReader(source);
  const config = readScaleDriver(env);
  env.finish();
  return Object.freeze(config);
}

const roles = ['scale-driver'] as const;

export function readScaleDriver(env: EnvReader): ScaleDriverConfig {
  return {
    logLevel: readLogLevel(env),
    http: {
      host: env.text('ORION_HTTP_HOST', {
        default: '0.0.0.0',
        roles,
        former: 'ORION_SCALE_DRIVER_HOST',
        doc: 'Address of its API, which asks for no login: only the autoscaler may reach it.',
      }),
      port: env.integer('ORION_HTTP_PORT', {
        default: 9466,
        min: 0,
        max: 65535,
        unit: 'port',
        roles,
        former: 'ORION_SCALE_DRIVER_PORT',
        doc: 'Port of its API, `/livez` and `/readyz`.',
      }),
    },
    dockerSocket: env.text('ORION_DOCKER_SOCKET', {
      default: '/var/run/docker.sock',
      roles,
      doc: 'Socket of the Docker engine. A process that uses it is root on the machine ([why](adr/0025-scale-driver.md)).',
    }),
    driver: env.choice('ORION_SCALE_DRIVER', ['compose', 'swarm'], {
      default: 'compose',
      roles,
      doc: 'Who runs the containers: compose, or a swarm.',
    }),
    project: env.optionalText('ORION_SCALE_PROJECT', {
      defaultDoc: 'its own',
      roles,
      doc: 'Compose project or stack. Set it where the scale driver runs outside of it.',
    }),
    services: readServiceBounds(env),
  };
}
