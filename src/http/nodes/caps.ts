import { z } from 'zod';
import { NODE_PREFIX } from '../../modules/nodes';
import { labels, MAX_CPUS, MAX_MEMORY_MB } from '../leases/schema';

export const isOperators = (name: string): boolean => !name.startsWith(NODE_PREFIX);

/** Labels that an operator gives. */
export const operatorLabels = labels.refine((all) => Object.keys(all).every(isOperators), `names that begin with ${NODE_PREFIX} are what nodes declare of themselves`);

/** What counts of a node at most. */
export const caps = {
  max_cpus: z.int().min(1).max(MAX_CPUS).nullable().default(null).meta({ description: 'No more processors count, whatever the machine declares; null: all of them' }),
  max_memory_mb: z.int().min(1).max(MAX_MEMORY_MB).nullable().default(null).meta({ description: 'No more memory counts; null: all of it' }),
};
