import type { Scenario } from '../scenario';
import { badTokens } from './bad-tokens';
import { clocks } from './clocks';
import { crashPoints, crashPointsForReal } from './crash-points';
import { cycles, cyclesForReal } from './cycles';
import { databaseKills } from './database-kills';
import { httpRequests } from './http-requests';
import { lostCommits } from './lost-commits';
import { residues } from './residues';
import { rogueNodes } from './rogue-nodes';

/** In the order in which they run. */
export const SCENARIOS: Scenario[] = [cycles, cyclesForReal, crashPoints, crashPointsForReal, lostCommits, databaseKills, residues, rogueNodes, clocks, httpRequests, badTokens];
