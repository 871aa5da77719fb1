import { describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { projectDir, run } from '../../lab';

const orion = (args: string[], env: Record<string, string> = {}): ReturnType<typeof run> =>
  run(process.execPath, [join(projectDir, 'dist', 'main.js'), ...args], { env: { PATH: process.env['PATH'], ...env } });

describe('orion as a service', () => {
  it.each([
    ['--role=nobody', 'api, scheduler, gateway, autoscaler, agent'],
    ['--role=', 'api, scheduler, gateway, autoscaler, agent'],
    ['--role=api,agent', 'the agent runs alone'],
    ['--role=api,autoscaler', 'the autoscaler runs alone'],
  ])('refuses %s as wrong usage and says what is right', async (role, says) => {
    const { code, stderr, stdout } = await orion([role]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(says);
  });

  it('names every setting that is missing or wrong at once, and shows no secret', async () => {
    const { code, stderr } = await orion(['--role=api'], { ORION_JWT_KEY: 'hush', ORION_HTTP_PORT: 'many', ORION_CLAIM_SECONDS: '-1' });
    expect(code).toBe(1);
    for (const name of ['ORION_DB_PASSWORD', 'ORION_JWT_KEY', 'ORION_SSH_KEY_FILE', 'ORION_HTTP_PORT', 'ORION_CLAIM_SECONDS']) {
      expect(stderr).toContain(name);
    }
    expect(stderr).not.toContain('hush');
  });

  it('migrate tells of a database that is not there instead of hanging', async () => {
    const { code, stderr } = await orion(['migrate', 'status'], { ORION_DB_PORT: '1', ORION_DB_PASSWORD: 'hush' });
    expect(code).toBe(1);
    expect(stderr).toContain('ECONNREFUSED');
    expect(stderr).not.toContain('hush');
  }, 30_000);
});
