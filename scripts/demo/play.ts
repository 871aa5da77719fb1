import type { Lab } from '../../test/lab';
import { openAccounts, type People } from './chapters/accounts';
import { killApi } from './chapters/crash';
import { endLeases, startShortLease } from './chapters/ending';
import { enrol } from './chapters/enrolment';
import { killMachine } from './chapters/failure';
import { rentMachines } from './chapters/renting';
import { resurrect } from './chapters/resurrection';
import { startUp } from './chapters/start-up';
import type { Narrator } from './narrator';
import type { Stage } from './stage';
import type { World } from './world';

/** The whole scenario, chapter by chapter. Throws at the first check that does not hold. */
export async function play(world: World, lab: Lab, narrator: Narrator): Promise<{ stage: Stage; people: People }> {
  const stage = await startUp(world, lab, narrator);
  const fleet = await enrol(stage);
  const people = await openAccounts(stage);
  const rentals = await rentMachines(stage, people);
  const { moved, ...casualty } = await killMachine(stage, fleet, { people, rentals });
  const short = await startShortLease(stage, fleet, people.bob);
  await resurrect(stage, fleet, casualty);
  await endLeases(stage, fleet, { ...people, adas: moved, short });
  await killApi(stage);
  narrator.summary();
  return { stage, people };
}
