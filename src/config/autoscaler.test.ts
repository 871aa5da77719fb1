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

describe('the configuration of the autoscaler', () => {
  it('needs the database and neither of the control plane\'s keys', () => {
    const config = loadAutoscalerConfig({ ORION_DB_PASSWORD: 'p' });
    expect(config).toMatchObject({
      dockerSocket: '/var/run/docker.sock', driver: 'compose', project: undefined, targetPercent: 60, tolerancePercent: 10, intervalSeconds: 5,
      stabilisationSeconds: 60, cooldownSeconds: 15, leaderSeconds: 15, dryRun: false, services: { api: { min: 1, max: 4 }, scheduler: { min: 1, max: 4 } },
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('a minimum above the default maximum is a maximum too; one above a given maximum is a fault', () => {
    expect(loadAutoscalerConfig({ ORION_DB_PASSWORD: 'p', ORION_SCALE_API_MIN: '6' }).services.api).toEqual({ min: 6, max: 6 });
    expect(faultsOf({ ORION_DB_PASSWORD: 'p', ORION_SCALE_API_MIN: '6', ORION_SCALE_API_MAX: '5' })).toEqual(['ORION_SCALE_API_MAX: must be at least ORION_SCALE_API_MIN']);
  });

  it('tells every fault at once', () => {
    const faults = faultsOf({
      ORION_SCALE_DRIVER: 'kubernetes', ORION_SCALE_API_MIN: '0', ORION_SCALE_TARGET_PERCENT: '160', ORION_SCALE_TOLERANCE_PERCENT: '0', ORION_SCALE_INTERVAL_SECONDS: 'often',
      ORION_SCALE_DRY_RUN: 'perhaps', ORION_SCALE_LEADER_SECONDS: '0',
    });
    expect(faults.map((fault) => fault.split(':')[0]).toSorted()).toEqual([
      'ORION_DB_PASSWORD', 'ORION_SCALE_API_MIN', 'ORION_SCALE_DRIVER', 'ORION_SCALE_DRY_RUN', 'ORION_SCALE_INTERVAL_SECONDS', 'ORION_SCALE_LEADER_SECONDS', 'ORION_SCALE_TARGET_PERCENT',
      'ORION_SCALE_TOLERANCE_PERCENT',
    ]);
  });
});
