import type { Scenario } from '../scenario';
import { crashPoints, crashPointsForReal } from './crash-points';
import { residues } from './residues';

/** In the order in which they run. */
export const SCENARIOS: Scenario[] = [crashPoints, crashPointsForReal, residues];
