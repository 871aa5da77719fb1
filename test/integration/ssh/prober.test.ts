import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '../../../src/lib/clock';
import { createProber, dialDirectly, type Prober } from '../../../src/ssh';
import { BAITS, openTrap } from '../../chaos/rogue/traps';
import { generateSshKeyPair } from '../../lab';
import { useLab } from '../../support/hooks';

const TIMEOUT_MS = 1500;

describe('a probe of a machine that is a trap', () => {
  const lab = useLab();
  let prober: Prober;

  beforeAll(async () => {
    const { keyFile } = await generateSshKeyPair(lab.dir);
    prober = createProber({
      dial: dialDirectly,
      username: 'orion-mgmt',
      privateKey: readFileSync(keyFile, 'utf8'),
      timeoutMs: TIMEOUT_MS,
      clock: systemClock,
    });
  });

  // A machine that passes every probe is the wipe's to find out.
  it.each(Object.keys(BAITS).filter((kind) => !kind.startsWith('sly-')))(
    'I10: %s: fails in time, three at once too, and ends nothing but itself',
    async (kind) => {
      const trap = await openTrap(lab, kind);
      const target = { nodeId: 1, address: trap.address, port: trap.port, hostKey: trap.hostKey };
      const probes = await Promise.all([1, 2, 3].map(() => prober.probe(target)));
      expect(probes).toEqual(probes.map(() => expect.objectContaining({ outcome: 'failed' })));
      expect(Math.max(...probes.map(({ durationMs }) => durationMs))).toBeLessThan(TIMEOUT_MS + 1000);
      expect(trap.caught()).toBe(3);
      // An error that nobody listens to ends the process, here the test: also one of a connection that was cut, which comes after the
      // answer.
      await systemClock.sleep(200);
    },
    20_000,
  );
});
