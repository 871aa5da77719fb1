import { describe, expect, it } from '@jest/globals';
import { eventually, type StepControl, untilHeld } from '../lab';
import { useFleet, useSystem, useTenant } from '../support/hooks';
import { fastConstants } from '../support/system';

describe('a wipe that comes late', () => {
  const system = useSystem({ apis: 1, schedulers: 2, faults: { steps: true }, env: fastConstants({ claimSeconds: 3 }) });
  useFleet(system, 1);
  const ada = useTenant(system);

  it("I7: a scheduler that stood still before its wipe, until the node was the next tenant's, touches nothing of his", async () => {
    const controls = system.schedulers.flatMap(({ steps }): StepControl[] => (steps ? [steps] : []));
    const held = untilHeld(controls, 'wipe.claimed');
    const before = await ada.rentOne();
    await ada.release(before.id);
    const { index, goOn } = await held;
    await system.untilFree(1);
    const next = await ada.rentOne();
    expect((await ada.login(next, 'echo mine > kept')).code).toBe(0);

    goOn();
    await eventually(() => system.schedulers[index]?.log().match(/"wipe (taken by another|failed)"/) !== null, {
      what: 'the late wipe is over',
      timeoutMs: 30_000,
    });
    expect(await ada.login(next, 'cat kept')).toMatchObject({ code: 0, stdout: 'mine\n' });
    expect((await ada.lease(next.id)).state).toBe('active');
  }, 90_000);
});
