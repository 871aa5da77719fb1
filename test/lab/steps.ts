import { constants, mkdtempSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Step } from '../../src/flows/support/failpoints';
import { eventually } from './eventually';
import type { Lab } from './lab';
import { runOrThrow } from './run';

/** Controls one process at the failpoints of its flows. The process stops at every failpoint until it is continued. */
export interface StepControl {
  /** Environment variables for the process, which must also load preload/steps.mjs. */
  env: Record<string, string>;
  /** Every failpoint that the process reached so far, in order. */
  seen: Step[];
  /** Arms a failpoint: when the process next reaches `step`, it stops there until `goOn` is called. The returned function disarms it. */
  arm(step: Step, held: (goOn: () => void) => void): () => void;
}

/**
 * Waits until one of the processes stops at `step`. Returns its index, and the function that continues it. The other processes pass.
 * Rejects after `timeoutMs`.
 */
export async function untilHeld(controls: StepControl[], step: Step, timeoutMs = 30_000): Promise<{ index: number; goOn: () => void }> {
  let first: { index: number; goOn: () => void } | undefined;
  const callOff = controls.map((control, index) => control.arm(step, (goOn) => (first === undefined ? (first = { index, goOn }) : goOn())));
  try {
    return await eventually(() => first, { what: `a process reaches ${step}`, timeoutMs, everyMs: 5 });
  } finally {
    callOff.forEach((call) => call());
  }
}

/** Creates the control with two named pipes: the process writes the failpoint that it reached, and reads one byte to continue. */
export async function createStepControl(lab: Lab): Promise<StepControl> {
  const dir = mkdtempSync(join(lab.dir, 'steps-'));
  const [reachedFile, goOnFile] = [join(dir, 'reached'), join(dir, 'go-on')];
  await runOrThrow('mkfifo', ['-m', '600', reachedFile, goOnFile]);
  // Open each pipe in both directions. Then neither side waits for the other, and no side reads an end of file when a process dies.
  const flags = constants.O_RDWR | constants.O_NONBLOCK;
  const told = new Socket({ fd: openSync(reachedFile, flags), readable: true, writable: false });
  const answers = new Socket({ fd: openSync(goOnFile, flags), readable: false, writable: true });
  lab.push('steps', () => {
    told.destroy();
    answers.destroy();
  });
  const seen: Step[] = [];
  let armed: { step: Step; hold: (goOn: () => void) => void } | undefined;
  const goOn = (): void => void answers.write('g');
  let rest = '';
  told.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const step of lines as Step[]) {
      seen.push(step);
      if (armed?.step === step) {
        const { hold } = armed;
        armed = undefined;
        hold(goOn);
      } else {
        goOn();
      }
    }
  });
  return {
    env: { ORION_LAB_STEPS: dir },
    seen,
    arm: (step, hold) => {
      const mine = { step, hold };
      armed = mine;
      return () => void (armed = armed === mine ? undefined : armed);
    },
  };
}
