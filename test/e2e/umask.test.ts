import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { projectDir, runOrThrow } from '../lab';
import { useSystem } from '../support/hooks';

/** As somebody would call it whose shell keeps everything to itself. */
const strictly = (...command: string[]): string[] => ['-c', 'umask 077; exec "$@"', 'sh', ...command];

// Tenants, and users of services, read what root made: none of it may depend on root's umask.
describe('a checkout made and used under umask 077, in a folder with a blank in its name', () => {
  afterAll(() => launch('--remove'), 60_000);
  const system = useSystem({ apis: 1, schedulers: 1 });
  let checkout: string;
  let stateDir: string;
  const launch = (...args: string[]): Promise<string> =>
    runOrThrow('sh', strictly(join(checkout, 'scripts', 'launch-workers.sh'), '--state-dir', stateDir, ...args));

  beforeAll(async () => {
    checkout = join(system.lab.dir, 'my code', 'orion');
    stateDir = join(system.lab.dir, 'my workers');
    system.lab.note({ kind: 'workers', stateDir });
    await runOrThrow('sh', strictly('mkdir', '-p', checkout));
    await runOrThrow(
      'sh',
      strictly('cp', '-R', ...['bin', 'dist', 'scripts', 'playbooks'].map((name) => join(projectDir, name)), checkout),
    );
    await runOrThrow('sh', strictly('sh', '-c', 'printf %s "$1" >"$2"', 'sh', system.joinToken, join(checkout, 'token')));
  }, 60_000);

  it('launches workers that tenants can use', async () => {
    await launch('1', '--endpoint', system.apis[0]?.url ?? '', '--token-file', join(checkout, 'token'));
    await system.untilFree(1, 60_000);
    const tenant = await system.tenant();
    const lease = await tenant.rentOne();
    expect(await tenant.login(lease, 'cat /etc/hostname && python3 -c "print(1)" && ls -d / /home /var/log')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('worker-1\n1\n'),
    });
    await tenant.release(lease.id);
    await system.untilFree(1, 60_000);
  }, 120_000);
});
