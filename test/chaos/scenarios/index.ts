import type { Scenario } from '../scenario';
import { badBodies } from './bad-bodies';
import { badTokens } from './bad-tokens';
import { clocks } from './clocks';
import { crashPoints, crashPointsForReal } from './crash-points';
import { crowd } from './crowd';
import { cycles, cyclesForReal } from './cycles';
import { databaseKills } from './database-kills';
import { httpRequests } from './http-requests';
import { lostCommits } from './lost-commits';
import { faultInjections, faultInjectionsOnNodes } from './fault-injections';
import { leftovers } from './leftovers';
import { rogueNodes } from './rogue-nodes';
import { workerFaults } from './worker-faults';

/** In the order in which they run. */
export const SCENARIOS: Scenario[] = [
  cycles,
  cyclesForReal,
  crashPoints,
  crashPointsForReal,
  faultInjections,
  faultInjectionsOnNodes,
  lostCommits,
  databaseKills,
  leftovers,
  rogueNodes,
  clocks,
  httpRequests,
  badTokens,
  badBodies,
  crowd,
  workerFaults,
];
