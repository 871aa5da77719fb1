import { describe, expect, it } from '@jest/globals';
import type { ConfigError } from './env';
import { loadScaleDriverConfig } from './scale-driver';

function faultsOf(env: Record<string, string>): string[] {
  try {
    loadScaleDriverConfig(env);
  } catch (error) {
    return (error as ConfigError).faults;
  }
  return [];
}

describe('the configuration of the scale driver', () => {
  it('needs nothing: no database and no secret', () => {
    const config = loadScaleDriverConfig({});
    expect(config).toEqual({
      logLevel: 'info',
      http: { host: '0.0.0.0', port: 9466 },
      dockerSocket: '/var/run/docker.sock',
      driver: 'compose',
      project: undefined,
      services: { api: { min: 1, max: 4 }, scheduler: { min: 1, max: 4 } },
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('reads the bounds as the autoscaler does', () => {
    expect(loadScaleDriverConfig({ ORION_SCALE_API_MIN: '6' }).services.api).toEqual({ min: 6, max: 6 });
    const faults = faultsOf({ ORION_SCALE_SCHEDULER_MIN: '6', ORION_SCALE_SCHEDULER_MAX: '5' });
    expect(faults).toEqual(['ORION_SCALE_SCHEDULER_MAX: must be at least ORION_SCALE_SCHEDULER_MIN']);
  });

  it('listens at the address of the settings that an earlier release had', () => {
    expect(loadScaleDriverConfig({ ORION_SCALE_DRIVER_HOST: '127.0.0.1', ORION_SCALE_DRIVER_PORT: '1234' }).http).toEqual({
      host: '127.0.0.1',
      port: 1234,
    });
  });

  it('reports every fault at once', () => {
    const wrong = { ORION_SCALE_DRIVER: 'kubernetes', ORION_HTTP_PORT: '70000', ORION_SCALE_API_MAX: '0', LOG_LEVEL: 'loud' };
    expect(
      faultsOf(wrong)
        .map((fault) => fault.split(':')[0])
        .toSorted(),
    ).toEqual(Object.keys(wrong).toSorted());
  });
});
