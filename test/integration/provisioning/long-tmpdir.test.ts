import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { useSystem } from '../../support/hooks';

/** The address of a UNIX socket holds 107 bytes. */
const base = mkdtempSync(join(tmpdir(), 'orion-lab-long-'));
const TMPDIR = join(base, 'long'.repeat(30), 'name'.repeat(30));

describe.each([
  ['prefork workers', 'true'],
  ['a process of ansible-playbook for each play', 'false'],
])('a long TMPDIR, with %s', (_what, warm) => {
  beforeAll(() => void mkdirSync(TMPDIR, { recursive: true }));
  const system = useSystem({ apis: 1, schedulers: 1, env: { TMPDIR, ORION_WARM_PLAYS: warm } });
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  it('does not keep a machine behind a tunnel from being rented, and no play from its way', async () => {
    await system.launchWorkers(1, { network: 'nat' });
    await system.untilFree(1, 90_000);
    const lease = await (await system.tenant()).rentOne({ seconds: 600 });
    expect(lease.state).toBe('active');
    expect([...system.apis, ...system.schedulers].map((replica) => replica.log()).join('')).not.toContain('plays run without');
  }, 150_000);
});
