import { describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RETIRED } from '../../../src/config/retired';
import { generateSshKeyPair, projectDir, run } from '../../lab';

const orion = (args: string[], env: Record<string, string> = {}): ReturnType<typeof run> =>
  run(process.execPath, [join(projectDir, 'dist', 'main.js'), ...args], { env: { PATH: process.env['PATH'], ...env } });

describe('orion as a service', () => {
  it.each([
    ['--role=nobody', 'api, scheduler, gateway, autoscaler, scale-driver, agent'],
    ['--role=', 'api, scheduler, gateway, autoscaler, scale-driver, agent'],
    ['--role=api,agent', 'the agent runs alone'],
    ['--role=api,autoscaler', 'the autoscaler runs alone'],
    ['--role=autoscaler,scale-driver', 'the autoscaler runs alone'],
    ['--role=scale-driver,api', 'the scale driver runs alone'],
  ])('refuses %s as wrong usage and says what is right', async (role, says) => {
    const { code, stderr, stdout } = await orion([role]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(says);
  });

  it('names every setting that is missing or wrong at once, and shows no secret', async () => {
    const { code, stderr } = await orion(['--role=api'], { ORION_JWT_KEY: 'hush', ORION_HTTP_PORT: 'many', ORION_DRAIN_SECONDS: '-1' });
    expect(code).toBe(1);
    for (const name of ['ORION_DB_PASSWORD', 'ORION_JWT_KEY', 'ORION_SSH_KEY_FILE', 'ORION_HTTP_PORT', 'ORION_DRAIN_SECONDS']) {
      expect(stderr).toContain(name);
    }
    expect(stderr).not.toContain('hush');
  });

  it('the scale driver names the setting of a port that another process has', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    try {
      await once(other, 'listening');
      const taken = { ORION_HTTP_HOST: '127.0.0.1', ORION_HTTP_PORT: String((other.address() as AddressInfo).port) };
      const { code, stderr } = await orion(['--role=scale-driver'], taken);
      expect(code).toBe(1);
      expect(stderr).toContain('ORION_HTTP_PORT: another process of this machine listens on 127.0.0.1:');
    } finally {
      other.close();
    }
  }, 30_000);

  it.each(['gateway', 'autoscaler', 'scale-driver'])(
    '%s warns of a setting that has no effect any more',
    async (role) => {
      const [setting = ''] = RETIRED.keys();
      // No machine has this address, so that the process ends when it wants to listen.
      const nowhere = { ORION_HTTP_HOST: '192.0.2.1', ORION_OPS_HOST: '192.0.2.1' };
      const required = { ORION_DB_PORT: '1', ORION_DB_PASSWORD: 'hush', ORION_SCALE_DRIVER_URL: 'http://192.0.2.1' };
      const { stderr } = await orion([`--role=${role}`], { ...nowhere, ...required, [setting]: '5' });
      expect(stderr.match(/setting has no effect/g)).toHaveLength(1);
      expect(stderr).toContain(setting);
    },
    30_000,
  );

  it.each(['scheduler', 'api'])(
    '%s tells which setting to change when another process has its port',
    async (role) => {
      const dir = mkdtempSync(join(tmpdir(), 'orion-roles-'));
      const other = createServer().listen(0, '127.0.0.1');
      try {
        await once(other, 'listening');
        const { keyFile } = await generateSshKeyPair(dir);
        const { code, stderr } = await orion([`--role=${role}`], {
          ORION_DB_PORT: '1',
          ORION_DB_PASSWORD: 'hush',
          ORION_JWT_KEY: 'k'.repeat(32),
          ORION_SSH_KEY_FILE: keyFile,
          ORION_CONTROL_KEY_FILE: keyFile,
          ORION_OPS_HOST: '127.0.0.1',
          ORION_OPS_PORT: String((other.address() as AddressInfo).port),
        });
        expect([code, stderr]).toEqual([
          1,
          expect.stringContaining('ORION_OPS_PORT: another process of this machine listens on 127.0.0.1:'),
        ]);
      } finally {
        other.close();
        rmSync(dir, { recursive: true });
      }
    },
    30_000,
  );

  it('migrate tells of a database that is not there instead of hanging', async () => {
    const { code, stderr } = await orion(['migrate', 'status'], { ORION_DB_PORT: '1', ORION_DB_PASSWORD: 'hush' });
    expect(code).toBe(1);
    expect(stderr).toContain('ECONNREFUSED');
    expect(stderr).not.toContain('hush');
  }, 30_000);
});
