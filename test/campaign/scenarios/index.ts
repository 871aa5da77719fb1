import type { Scenario } from '../scenario';

/** In the order in which they run. */
export const SCENARIOS: Scenario[] = [];
