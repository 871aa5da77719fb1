import { constants, mkdtempSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Step } from '../../src/flows/support/failpoints';
import { eventually } from './eventually';
import type { Lab } from './lab';
import { runOrThrow } from './run';

/** Steers one process at the steps of its flows. The process stands still at every step until it is told to go on. */
export interface StepControl {
  /** For the process's environment; it also has to load preload/steps.mjs. */
  env: Record<string, string>;
  /** Every step so far, in order. */
  seen: Step[];
  /** The next time the process reaches `step` it stands there until `goOn` is called. Gives the order back when it is called off. */
  arm(step: Step, held: (goOn: () => void) => void): () => void;
}

/** Waits until one of the processes stands at `step`: says which, and what lets it go on. The others pass. Rejects after `timeoutMs`. */
export async function untilHeld(controls: StepControl[], step: Step, timeoutMs = 30_000): Promise<{ index: number; goOn: () => void }> {
  let first: { index: number; goOn: () => void } | undefined;
  const callOff = controls.map((control, index) => control.arm(step, (goOn) => (first === undefined ? (first = { index, goOn }) : goOn())));
  try {
    return await eventually(() => first, { what: `a process reaches ${step}`, timeoutMs, everyMs: 5 });
  } finally {
    callOff.forEach((call) => call());
  }
}

/** Two named pipes: the process writes the step it has reached and reads one byte to go on. */
export async function createStepControl(lab: Lab): Promise<StepControl> {
  const dir = mkdtempSync(join(lab.dir, 'steps-'));
  const [reachedFile, goOnFile] = [join(dir, 'reached'), join(dir, 'go-on')];
  await runOrThrow('mkfifo', ['-m', '600', reachedFile, goOnFile]);
  // Opened for both directions: neither side then waits for the other, nor sees an end when a process dies.
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
