import type { Benchmark } from './benchmark';
import { claim } from './claim';

/** In the order of the table. */
export const BENCHMARKS: Benchmark[] = [claim];
