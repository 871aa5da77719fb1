import { z } from 'zod';
import { USERNAME } from '../../modules/accounts';
import { PRINTABLE } from '../printable';

export const username = z
  .string()
  .regex(USERNAME, 'use 2 to 32 of a-z, 0-9, dot, dash and underscore, beginning with a letter or digit')
  .meta({ example: 'ada' });

/** Longer ones would only make hashing dear. */
export const password = z.string().min(10, 'use at least 10 characters').max(256, 'use at most 256 characters');

export const credentials = z.strictObject({ username, password }).meta({ id: 'Credentials' });

/** At login anything that could be a password is tried: rules for new ones do not apply. */
export const loginBody = z.strictObject({ username: z.string().min(1).max(64), password: z.string().min(1).max(256) }).meta({ id: 'Login' });

export const userAnswer = z
  .object({
    id: z.number().int(),
    username: z.string(),
    role: z.enum(['user', 'admin']),
    max_leases: z.number().int(),
    max_lease_hours: z.number().int(),
    disabled: z.boolean(),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'User' });

export const meAnswer = z.object({ user: userAnswer });
export const loginAnswer = z.object({ token: z.string(), token_type: z.literal('Bearer'), expires_in_seconds: z.number().int(), user: userAnswer }).meta({ id: 'Session' });

export const keyBody = z.strictObject({ name: z.string().max(64).regex(PRINTABLE, 'use printable characters').optional(), public_key: z.string().max(8192) }).meta({ id: 'NewKey' });
export const keyAnswer = z
  .object({ id: z.number().int(), name: z.string(), public_key: z.string(), fingerprint: z.string(), created_at: z.iso.datetime() })
  .meta({ id: 'Key' });

export const userChange = z
  .strictObject({
    max_leases: z.int().min(0).max(100_000).optional(),
    max_lease_hours: z.int().min(1).max(24 * 366).optional(),
    role: z.enum(['user', 'admin']).optional(),
    disabled: z.boolean().optional(),
  })
  .meta({ id: 'UserChange' });
