import { describe, expect, it } from '@jest/globals';
import { loadAutoscalerConfig } from './autoscaler';
import type { ConfigError } from './env';

function faultsOf(env: Record<string, string>): string[] {
  try {
    loadAutoscalerConfig(env);
  } catch (error) {
    return (error as ConfigError).faults;
  }
  return [];
}

const needed = { ORION_DB_PASSWORD: 'p', ORION_SCALE_DRIVER_URL: 'http://scale-driver:9466/' };

describe('the configuration of the autoscaler', () => {
  it("needs the database and the scale driver, and neither of the control plane's keys", () => {
    const config = loadAutoscalerConfig(needed);
    expect(config).toMatchObject({
      driverUrl: 'http://scale-driver:9466',
      targetPercent: 60,
      intervalSeconds: 5,
      stabilisationSeconds: 60,
      cooldownSeconds: 15,
      leaderSeconds: 15,
      dryRun: false,
      services: { api: { min: 1, max: 4 }, scheduler: { min: 1, max: 4 } },
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('a minimum above the default maximum is a maximum too; one above a given maximum is a fault', () => {
    expect(loadAutoscalerConfig({ ...needed, ORION_SCALE_API_MIN: '6' }).services.api).toEqual({ min: 6, max: 6 });
    const faults = faultsOf({ ...needed, ORION_SCALE_API_MIN: '6', ORION_SCALE_API_MAX: '5' });
    expect(faults).toEqual(['ORION_SCALE_API_MAX: must be at least ORION_SCALE_API_MIN']);
  });

  it('knows no Docker socket', () => {
    expect(JSON.stringify(loadAutoscalerConfig({ ...needed, ORION_DOCKER_SOCKET: '/run/docker.sock' }))).not.toContain('docker.sock');
  });

  it('tells every fault at once', () => {
    const faults = faultsOf({
      ORION_SCALE_DRIVER_URL: 'scale-driver:9466',
      ORION_SCALE_API_MIN: '0',
      ORION_SCALE_TARGET_PERCENT: '160',
      ORION_SCALE_DRY_RUN: 'perhaps',
    });
    expect(faults.map((fault) => fault.split(':')[0]).toSorted()).toEqual([
      'ORION_DB_PASSWORD',
      'ORION_SCALE_API_MIN',
      'ORION_SCALE_DRIVER_URL',
      'ORION_SCALE_DRY_RUN',
      'ORION_SCALE_TARGET_PERCENT',
    ]);
  });
});
