import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { messageOf } from '../../src/lib/errors';
import { createLab, type Lab } from '../../test/lab';
import { clearAwayAtOnce, saveLogs } from './aftermath';
import { handOver, instructions, startKeeper } from './keep';
import { check, createNarrator, type Narrator } from './narrator';
import { play } from './play';
import { createContainers } from './containers';
import { processes } from './processes';
import type { ControlPlane } from './world';

const narrator = createNarrator(process.stdout);
const world = process.argv.includes('--docker') ? createContainers() : processes;
process.exit(await main(process.argv.includes('--keep') ? startKeeper() : undefined));

/** @param keeperPid the process that may outlive this one, when the demo is to stay. Resolves with the exit code */
async function main(keeperPid: number | undefined): Promise<number> {
  const lab = createLab({ watchedPid: keeperPid });
  // The servers of a lab that may stay do not keep this process running while it waits for them.
  setInterval(() => undefined, 60_000);
  clearAwayOnSignal(lab);
  narrator.note(world.introduction(lab));
  try {
    const { stage, people } = await play(world, lab, narrator);
    if (keeperPid !== undefined) {
      handOver(lab, keeperPid);
      process.stdout.write(instructions(lab, stage, people));
      return 0;
    }
    await clearAway(lab, narrator, stage.plane);
    return 0;
  } catch (error) {
    process.stdout.write(`\nThe demo failed: ${messageOf(error)}\nThe logs are in ${saveLogs(lab, messageOf(error))}\n`);
    narrator.mute();
    await lab.close();
    return 1;
  }
}

function clearAwayOnSignal(lab: Lab): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => {
      process.stdout.write('\nInterrupted: clearing everything away …\n');
      clearAwayAtOnce(lab);
      process.exit(128 + constants.signals[name]);
    });
  }
}

async function clearAway(lab: Lab, teller: Narrator, plane: ControlPlane): Promise<void> {
  await teller.step('everything is being stopped and removed', async () => {
    await plane.stop();
    await lab.close();
    check(!existsSync(lab.dir), 'the demo leaves nothing behind');
  });
}
