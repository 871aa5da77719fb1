import type { LogLevel } from '../lib/logger';
import { createEnvReader } from './env';
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
  const config: ScaleDriverConfig = {
    logLevel: env.choice<LogLevel>('LOG_LEVEL', ['debug', 'info', 'warn', 'error', 'silent'], { default: 'info' }),
    http: {
      host: env.text('ORION_SCALE_DRIVER_HOST', { default: '0.0.0.0' }),
      port: env.integer('ORION_SCALE_DRIVER_PORT', { default: 9466, min: 0, max: 65535 }),
    },
    dockerSocket: env.text('ORION_DOCKER_SOCKET', { default: '/var/run/docker.sock' }),
    driver: env.choice('ORION_SCALE_DRIVER', ['compose', 'swarm'], { default: 'compose' }),
    project: env.optionalText('ORION_SCALE_PROJECT'),
    services: readServiceBounds(env),
  };
  env.finish();
  return Object.freeze(config);
}
