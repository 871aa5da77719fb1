import { z } from 'zod';
import { USERNAME } from '../lib/username';
import { endpoint } from './endpoint';
import { idParam, pageOf, pageQuery } from './paging';
import { PRINTABLE } from './printable';

const username = z
  .string()
  .regex(USERNAME, 'use 2 to 32 of a-z, 0-9, dot, dash and underscore, beginning with a letter or digit')
  .meta({ example: 'ada' });

/** The upper limit keeps hashing cheap. */
const password = z.string().min(10, 'use at least 10 characters').max(256, 'use at most 256 characters');

export const credentials = z.strictObject({ username, password }).meta({ id: 'Credentials' });

/** Login accepts any text that could be a password. The rules for new passwords do not apply. */
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

const meAnswer = z.object({ user: userAnswer });
const loginAnswer = z.object({ token: z.string(), token_type: z.literal('Bearer'), expires_in_seconds: z.number().int(), user: userAnswer }).meta({ id: 'Session' });

export const keyBody = z.strictObject({ name: z.string().max(64).regex(PRINTABLE, 'use printable characters').optional(), public_key: z.string().max(8192) }).meta({ id: 'NewKey' });
const keyAnswer = z
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

export type User = z.output<typeof userAnswer>;
export type LoginAnswer = z.output<typeof loginAnswer>;
export type UserChange = z.input<typeof userChange>;
export type Key = z.output<typeof keyAnswer>;

export const signUp = endpoint({
  method: 'post', path: '/api/signup', summary: 'Create an account',
  access: 'public', audit: ['user.created'], body: credentials, problems: [403, 409, 429],
  answers: { 201: { description: 'Created', schema: meAnswer } },
});

export const logIn = endpoint({
  method: 'post', path: '/api/login', summary: 'Get an access token',
  access: 'public', audit: ['user.login'], body: loginBody, problems: [401, 429],
  answers: { 200: { description: 'The token', schema: loginAnswer } },
});

export const logOut = endpoint({
  method: 'post', path: '/api/logout', summary: 'Make the token good for nothing', access: 'user', audit: ['user.logout'],
  answers: { 204: { description: 'Logged out' } },
});

export const showMe = endpoint({
  method: 'get', path: '/api/me', summary: 'Who am I', access: 'user', audit: 'reads',
  answers: { 200: { description: 'The account', schema: meAnswer } },
});

export const listKeys = endpoint({
  method: 'get', path: '/api/keys', summary: 'Keys of the account', access: 'user', audit: 'reads',
  answers: { 200: { description: 'Keys', schema: z.object({ items: z.array(keyAnswer) }) } },
});

export const addKey = endpoint({
  method: 'post', path: '/api/keys', summary: 'Add a public key: it opens running leases within seconds, and later ones',
  access: 'user', audit: ['key.added'], body: keyBody, problems: [409, 422],
  answers: { 201: { description: 'Added', schema: keyAnswer } },
});

export const removeKey = endpoint({
  method: 'delete', path: '/api/keys/{id}',
  summary: 'Remove a key: it opens no lease any more, and sessions on running leases are ended within seconds',
  access: 'user', audit: ['key.removed'], params: idParam, problems: [404],
  answers: { 204: { description: 'Removed' } },
});

export const listUsers = endpoint({
  method: 'get', path: '/api/users', summary: 'All accounts', access: 'admin', audit: 'reads', query: pageQuery,
  answers: { 200: { description: 'A page', schema: pageOf(userAnswer) } },
});

export const changeUser = endpoint({
  method: 'patch', path: '/api/users/{id}', summary: 'Change quotas or role, disable (nothing opens the leases, sessions end) or enable',
  access: 'admin', audit: ['user.changed', 'user.disabled', 'user.enabled'], params: idParam, body: userChange, problems: [404, 409],
  answers: { 200: { description: 'Changed', schema: userAnswer } },
});
