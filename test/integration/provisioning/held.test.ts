import { describe, expect, it } from '@jest/globals';
import { aSpec, asRoot, asTenant, nodeOf, tenantOf, useBench } from './support';

const TEST_MS = 180_000;

// What the agent's fence does to an account that nobody confirms (src/agent/hold-account.ts), done by hand: no agent runs here.
const hold = ({ username, uid }: { username: string; uid: number }): string => `
  sed -i 's/}$/, "held": true}/' /var/lib/orion/accounts/${username}.json && chage -E 1 ${username} && pkill -STOP -U ${uid}`;

describe('provisioning of a held account', () => {
  const { bench, worker } = useBench();
  const held = async (): Promise<ReturnType<typeof aSpec>> => {
    const spec = aSpec(bench.tenantKey);
    await bench.provisioner.ensurePresent(nodeOf(worker), spec);
    await asTenant(tenantOf(worker, spec.username, bench.tenantKey), 'nohup setsid sleep 1000 >/dev/null 2>&1 & true');
    await asRoot(worker, hold(spec));
    expect(await states(spec.uid)).toBe('T');
    return spec;
  };
  const states = (uid: number): Promise<string> => asRoot(worker, `ps -o stat= -U ${uid} | cut -c 1 | sort -u`);

  it(
    'gives it back: the order to have it there is a confirmation',
    async () => {
      const spec = await held();
      const report = await bench.provisioner.ensurePresent(nodeOf(worker), spec);
      expect(report.details['actions']).toEqual(['record', 'expiry', 'thawed']);
      expect(await states(spec.uid)).toBe('S');
      expect(await asTenant(tenantOf(worker, spec.username, bench.tenantKey), 'id -un')).toBe(spec.username);
      expect(await asRoot(worker, `cat /var/lib/orion/accounts/${spec.username}.json`)).not.toContain('held');
    },
    TEST_MS,
  );

  it(
    'wipes it like any other',
    async () => {
      const spec = await held();
      const report = await bench.provisioner.wipe(nodeOf(worker), [spec]);
      expect(report.details['killed']).toBeGreaterThanOrEqual(1);
      expect(await bench.provisioner.verifyClean(nodeOf(worker), [spec])).toMatchObject({ clean: true, findings: [] });
    },
    TEST_MS,
  );
});
