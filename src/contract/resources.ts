import { z } from 'zod';

/** Largest values that a rent may request. */
export const MAX_CPUS = 4096;
export const MAX_MEMORY_MB = 1_000_000_000;

/** Limits on how much of a node counts. */
export const caps = {
  max_cpus: z
    .int()
    .min(1)
    .max(MAX_CPUS)
    .nullable()
    .default(null)
    .meta({ description: 'No more processors count, whatever the machine declares; null: all of them' }),
  max_memory_mb: z.int().min(1).max(MAX_MEMORY_MB).nullable().default(null).meta({ description: 'No more memory counts; null: all of it' }),
};

/** A file system that other machines may share. No wipe reads it. */
export const sharedStorage = z.object({ path: z.string(), type: z.string() });
export type SharedStorage = z.output<typeof sharedStorage>;
