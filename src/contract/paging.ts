import { z } from 'zod';

const MAX_ID = Number.MAX_SAFE_INTEGER;

/**
 * Accepts a number in a path or query: decimal digits only. `Number` would also accept `0x1`, `1e3`, `+1` and ` 1`, and a thing must have
 * only one name.
 */
function digits<T extends z.ZodType>(number: T): z.ZodPreprocess<T> {
  return z.preprocess((text) => (typeof text === 'string' && /^\d{1,16}$/.test(text) ? Number(text) : NaN), number);
}

/** A row's id in a path. */
export const idParam = z.object({ id: digits(z.int().min(1).max(MAX_ID)).meta({ description: 'Id', example: 1 }) });

/** Reads digits as the number of a user, and other text as a name. No new account has a name of digits alone. */
const userNamed = z
  .string()
  .regex(/^(?!0+$)[\x21-\x7e]{1,64}$/, 'use the number or the name of an account')
  .transform((text) => (/^\d{1,15}$/.test(text) ? Number(text) : text));

/** A user in a path, and in a query as a filter. */
export const userParam = z.object({ id: userNamed.meta({ description: 'Number or name', example: 'ada', type: 'string' }) });
export const filterUser = userNamed.meta({ description: 'Number or name', type: 'string' });

/** A row's id in a query, as a filter. */
export const filterId = digits(z.int().min(1).max(MAX_ID));

/** A number of entries in a query. */
export const sizeOf = digits(z.int().min(0).max(MAX_ID));

/** Query of a page. A caller passes `next_cursor` of one answer as `cursor` of the next request. */
export const pageQuery = z.object({
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, 'use the next_cursor of the page before')
    .optional(),
  limit: digits(z.int().min(1).max(500)).default(100),
});

/** `next_cursor` null: this page is the last. */
export const pageOf = <T extends z.ZodType>(item: T): z.ZodObject<{ items: z.ZodArray<T>; next_cursor: z.ZodNullable<z.ZodString> }> =>
  z.object({ items: z.array(item), next_cursor: z.string().nullable() });

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}
