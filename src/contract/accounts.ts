import { z } from 'zod';
import { USERNAME, USERNAME_RULE } from '../lib/username';
import { endpoint } from './endpoint';
import { idParam, pageOf, pageQuery, userParam } from './paging';
import { PRINTABLE } from './printable';

const username = z.string().regex(USERNAME, USERNAME_RULE).meta({ example: 'ada' });

/** The upper limit keeps hashing cheap. */
const password = z.string().min(10, 'use at least 10 characters').max(256, 'use at most 256 characters');

export const credentials = z.strictObject({ username, password }).meta({ id: 'Credentials' });

/** Login accepts any text that could be a password. The rules for new passwords do not apply. */
export const loginBody = z
  .strictObject({ username: z.string().min(1).max(64), password: z.string().min(1).max(256) })
  .meta({ id: 'Login' });

export const userAnswer = z
  .object({
    id: z.number().int(),
    username: z.string(),
    role: z.enum(['user', 'admin']),
    max_leases: z.number().int(),
    max_lease_hours: z.number().int(),
    disabled: z.boolean(),
    must_change_password: z.boolean().meta({ description: 'Until then the account can do nothing else' }),
    deleted_at: z.iso.datetime().nullable(),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'User' });

const meAnswer = z.object({ user: userAnswer });
const loginAnswer = z
  .object({ token: z.string(), token_type: z.literal('Bearer'), expires_in_seconds: z.number().int(), user: userAnswer })
  .meta({ id: 'Session' });

export const keyBody = z
  .strictObject({ name: z.string().max(64).regex(PRINTABLE, 'use printable characters').optional(), public_key: z.string().max(8192) })
  .meta({ id: 'NewKey' });
const keyAnswer = z
  .object({ id: z.number().int(), name: z.string(), public_key: z.string(), fingerprint: z.string(), created_at: z.iso.datetime() })
  .meta({ id: 'Key' });

const limits = {
  max_leases: z.int().min(0).max(100_000).optional(),
  max_lease_hours: z
    .int()
    .min(1)
    .max(24 * 366)
    .optional(),
  role: z.enum(['user', 'admin']).optional(),
};

export const userChange = z
  .strictObject({
    ...limits,
    disabled: z.boolean().optional(),
    keep_leases: z
      .boolean()
      .default(false)
      .meta({ description: 'With `disabled`: the programs of the leases run on, and nobody can log in to them' }),
  })
  .meta({ id: 'UserChange' });

const newUser = z
  .strictObject({
    username,
    ...limits,
    password: password.optional().meta({ description: 'The user must change it first. Without it the answer has a one-time code' }),
  })
  .meta({ id: 'NewUser' });

const codeAnswer = z
  .object({ code: z.string().meta({ description: 'Shown this once' }), expires_at: z.iso.datetime() })
  .meta({ id: 'OneTimeCode', description: '`POST /api/password` sets a password with it, once' });

const passwordChange = z.strictObject({ old_password: loginBody.shape.password, new_password: password }).meta({ id: 'PasswordChange' });

const codeUse = z
  .strictObject({ username: loginBody.shape.username, code: z.string().min(1).max(256), new_password: password })
  .meta({ id: 'CodeUse' });

const sessionAnswer = z
  .object({
    id: z.uuid().meta({ description: 'Of the token. The audit log has the same in `token_id`' }),
    created_at: z.iso.datetime(),
    last_used_at: z.iso.datetime().meta({ description: 'To a minute' }),
    expires_at: z.iso.datetime(),
    address: z.string().nullable().meta({ description: 'Of the last use' }),
    client: z.string().nullable().meta({ description: 'The `User-Agent`' }),
    current: z.boolean().meta({ description: 'The session of this request' }),
  })
  .meta({ id: 'OpenSession' });

export type User = z.output<typeof userAnswer>;
export type LoginAnswer = z.output<typeof loginAnswer>;
export type UserChange = z.input<typeof userChange>;
export type NewUser = z.input<typeof newUser>;
export type OneTimeCode = z.output<typeof codeAnswer>;
export type OpenSession = z.output<typeof sessionAnswer>;
export type Key = z.output<typeof keyAnswer>;

export const signUp = endpoint({
  method: 'post',
  path: '/api/signup',
  summary: 'Create an account',
  access: 'public',
  audit: ['user.created'],
  body: credentials,
  problems: [403, 409, 429],
  answers: { 201: { description: 'Created', schema: meAnswer } },
});

export const logIn = endpoint({
  method: 'post',
  path: '/api/login',
  summary: 'Get an access token',
  access: 'public',
  audit: ['user.login'],
  body: loginBody,
  problems: [401, 429],
  answers: { 200: { description: 'The token', schema: loginAnswer } },
});

export const logOut = endpoint({
  method: 'post',
  path: '/api/logout',
  summary: 'Make the token good for nothing',
  access: 'session',
  audit: ['user.logout'],
  answers: { 204: { description: 'Logged out' } },
});

export const showMe = endpoint({
  method: 'get',
  path: '/api/me',
  summary: 'Who am I',
  access: 'user',
  audit: 'reads',
  answers: { 200: { description: 'The account', schema: meAnswer } },
});

export const changePassword = endpoint({
  method: 'post',
  path: '/api/me/password',
  summary: 'Change the password: every token of the account ends, and the answer has a new one',
  access: 'session',
  audit: ['user.password_changed'],
  body: passwordChange,
  problems: [401, 429],
  answers: { 200: { description: 'Changed', schema: loginAnswer } },
});

export const useCode = endpoint({
  method: 'post',
  path: '/api/password',
  summary: 'Set a password with a one-time code of an operator: every token of the account ends',
  access: 'public',
  audit: ['user.password_changed'],
  body: codeUse,
  problems: [401, 429],
  answers: { 200: { description: 'Set, and logged in', schema: loginAnswer } },
});

export const listSessions = endpoint({
  method: 'get',
  path: '/api/me/sessions',
  summary: 'Sessions of the account: its valid tokens, the 200 that were used last',
  access: 'user',
  audit: 'reads',
  answers: { 200: { description: 'Sessions', schema: z.object({ items: z.array(sessionAnswer) }) } },
});

export const endSession = endpoint({
  method: 'delete',
  path: '/api/me/sessions/{id}',
  summary: 'End a session: its token is good for nothing',
  access: 'user',
  audit: ['session.ended'],
  params: z.object({ id: z.uuid() }),
  problems: [404],
  answers: { 204: { description: 'Ended' } },
});

export const endAllSessions = endpoint({
  method: 'delete',
  path: '/api/me/sessions',
  summary: 'End all sessions, also this one',
  access: 'user',
  audit: ['session.ended'],
  answers: { 204: { description: 'Ended' } },
});

export const listKeys = endpoint({
  method: 'get',
  path: '/api/keys',
  summary: 'Keys of the account',
  access: 'user',
  audit: 'reads',
  answers: { 200: { description: 'Keys', schema: z.object({ items: z.array(keyAnswer) }) } },
});

export const addKey = endpoint({
  method: 'post',
  path: '/api/keys',
  summary: 'Add a public key: it opens running leases within seconds, and later ones',
  access: 'user',
  audit: ['key.added'],
  body: keyBody,
  problems: [409, 422],
  answers: { 201: { description: 'Added', schema: keyAnswer } },
});

export const removeKey = endpoint({
  method: 'delete',
  path: '/api/keys/{id}',
  summary: 'Remove a key: it opens no lease any more, and sessions on running leases are ended within seconds',
  access: 'user',
  audit: ['key.removed'],
  params: idParam,
  problems: [404],
  answers: { 204: { description: 'Removed' } },
});

export const listUsers = endpoint({
  method: 'get',
  path: '/api/users',
  summary: 'All accounts',
  access: 'admin',
  audit: 'reads',
  query: pageQuery,
  answers: { 200: { description: 'A page', schema: pageOf(userAnswer) } },
});

export const createUser = endpoint({
  method: 'post',
  path: '/api/users',
  summary: 'Create an account for somebody, also where sign-up is closed',
  access: 'admin',
  audit: ['user.created'],
  body: newUser,
  problems: [409],
  answers: {
    201: {
      description: 'Created. `one_time_code` is null if the request has a password',
      schema: z.object({ user: userAnswer, one_time_code: codeAnswer.nullable() }),
    },
  },
});

export const showUser = endpoint({
  method: 'get',
  path: '/api/users/{id}',
  summary: 'One account, also a deleted one',
  access: 'admin',
  audit: 'reads',
  params: userParam,
  problems: [404],
  answers: { 200: { description: 'The account', schema: userAnswer } },
});

export const changeUser = endpoint({
  method: 'patch',
  path: '/api/users/{id}',
  summary: 'Change quotas or role, disable (tokens, sessions and leases end) or enable',
  access: 'admin',
  audit: ['user.changed', 'user.disabled', 'user.enabled'],
  params: userParam,
  body: userChange,
  problems: [404, 409],
  answers: { 200: { description: 'Changed', schema: userAnswer } },
});

export const deleteUser = endpoint({
  method: 'delete',
  path: '/api/users/{id}',
  summary: 'Delete an account: tokens, sessions, keys and leases end. Its history and its name stay',
  access: 'admin',
  audit: ['user.deleted'],
  params: userParam,
  problems: [404, 409],
  query: z.object({
    keep_leases: z
      .enum(['true', 'false'])
      .default('false')
      .meta({ description: 'The programs of the leases run on, and nobody can log in to them' }),
  }),
  answers: { 200: { description: 'Deleted', schema: userAnswer } },
});

export const resetPassword = endpoint({
  method: 'post',
  path: '/api/users/{id}/reset-password',
  summary: 'Issue a one-time code with which the user sets a new password',
  access: 'admin',
  audit: ['user.code_issued'],
  params: userParam,
  problems: [404, 409],
  answers: { 201: { description: 'Issued', schema: codeAnswer } },
});
