import type { Scenario } from '../scenario';
import { crashPoints, crashPointsForReal } from './crash-points';
import { cycles, cyclesForReal } from './cycles';
import { residues } from './residues';

/** In the order in which they run. */
export const SCENARIOS: Scenario[] = [cycles, cyclesForReal, crashPoints, crashPointsForReal, residues];
