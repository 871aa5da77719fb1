import { z } from 'zod';
import { changeUser } from '../../flows/change-user';
import { logIn } from '../../flows/log-in';
import { addKey, removeKey } from '../../flows/manage-keys';
import { signUp } from '../../flows/sign-up';
import { OrionError } from '../../lib/errors';
import { listUserKeys, listUsers, revokeToken } from '../../modules/accounts';
import type { ApiDeps } from '../deps';
import { idParam, nextCursor, pageOf, pageQuery, principalOf, type RouteMaker } from '../route';
import { presentKey, presentUser } from './presenter';
import { credentials, keyAnswer, keyBody, loginAnswer, loginBody, meAnswer, userAnswer, userChange } from './schema';

/** Signing up, in and out; the account's keys. */
export function addAccountRoutes(routes: RouteMaker, { ctx, reads, settings, limits }: ApiDeps): void {
  routes.add(
    { method: 'post', path: '/api/signup', summary: 'Create an account', access: 'public', body: credentials, guards: limits.signup, answers: { 201: { description: 'Created', schema: meAnswer } }, problems: [403, 409, 429] },
    async ({ body }) => {
      if (settings.signup === 'closed') {
        throw new OrionError('forbidden', 'Accounts are made by an operator here.');
      }
      const { maxLeases, maxLeaseHours } = settings;
      return { status: 201, body: { user: presentUser(await signUp(ctx, { ...body, role: 'user', maxLeases, maxLeaseHours })) } };
    },
  );
  routes.add(
    { method: 'post', path: '/api/login', summary: 'Get an access token', access: 'public', body: loginBody, guards: limits.login, answers: { 200: { description: 'The token', schema: loginAnswer } }, problems: [401, 429] },
    async ({ body, req }) => {
      const { user, token } = await logIn(ctx, body);
      await limits.loggedIn(req);
      return { status: 200, body: { token, token_type: 'Bearer', expires_in_seconds: ctx.tokens.ttlSeconds, user: presentUser(user) }, headers: { 'Cache-Control': 'no-store' } };
    },
  );
  routes.add(
    { method: 'post', path: '/api/logout', summary: 'Make the token good for nothing', access: 'user', answers: { 204: { description: 'Logged out' } } },
    async ({ res }) => {
      const { token } = principalOf(res);
      await revokeToken(ctx.db, token.tokenId, token.expiresAtSeconds);
      return { status: 204 };
    },
  );
  routes.add({ method: 'get', path: '/api/me', summary: 'Who am I', access: 'user', answers: { 200: { description: 'The account', schema: meAnswer } } }, ({ res }) =>
    Promise.resolve({ status: 200, body: { user: presentUser(principalOf(res).user) } }),
  );
  addKeyRoutes(routes, { ctx, reads });
  addUserRoutes(routes, { ctx, reads });
}

type Accounts = Pick<ApiDeps, 'ctx' | 'reads'>;

function addKeyRoutes(routes: RouteMaker, { ctx, reads }: Accounts): void {
  const list = z.object({ items: z.array(keyAnswer) });
  routes.add({ method: 'get', path: '/api/keys', summary: 'Keys of the account', access: 'user', answers: { 200: { description: 'Keys', schema: list } } }, async ({ res }) => ({
    status: 200,
    body: { items: (await listUserKeys(reads, principalOf(res).user.id)).map(presentKey) },
  }));
  routes.add(
    { method: 'post', path: '/api/keys', summary: 'Add a public key: it opens running leases within seconds, and later ones', access: 'user', body: keyBody, answers: { 201: { description: 'Added', schema: keyAnswer } }, problems: [409, 422] },
    async ({ body, res }) => ({ status: 201, body: presentKey(await addKey(ctx, principalOf(res).user, { name: body.name ?? '', publicKey: body.public_key })) }),
  );
  routes.add(
    { method: 'delete', path: '/api/keys/:id', summary: 'Remove a key: it opens no lease any more, and sessions on running leases are ended within seconds', access: 'user', params: idParam, answers: { 204: { description: 'Removed' } }, problems: [404] },
    async ({ params, res }) => {
      await removeKey(ctx, principalOf(res).user, params.id);
      return { status: 204 };
    },
  );
}

function addUserRoutes(routes: RouteMaker, { ctx, reads }: Accounts): void {
  routes.add(
    { method: 'get', path: '/api/users', summary: 'All accounts', access: 'admin', query: pageQuery, answers: { 200: { description: 'A page', schema: pageOf(userAnswer) } } },
    async ({ query }) => {
      const users = await listUsers(reads, Number(query.cursor ?? 0), query.limit);
      return { status: 200, body: { items: users.map(presentUser), next_cursor: nextCursor(users, query.limit) } };
    },
  );
  routes.add(
    { method: 'patch', path: '/api/users/:id', summary: 'Change quotas or role, disable (nothing opens the leases, sessions end) or enable', access: 'admin', params: idParam, body: userChange, answers: { 200: { description: 'Changed', schema: userAnswer } }, problems: [404, 409] },
    async ({ params, body, res }) => {
      const change = { maxLeases: body.max_leases, maxLeaseHours: body.max_lease_hours, role: body.role, disabled: body.disabled };
      return { status: 200, body: presentUser(await changeUser(ctx, { userId: params.id, by: principalOf(res).user, change })) };
    },
  );
}
