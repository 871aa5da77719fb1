import * as calls from '../../contract/accounts';
import { changeUser } from '../../flows/accounts/change-user';
import { logIn } from '../../flows/accounts/log-in';
import { logOut } from '../../flows/accounts/log-out';
import { addKey, removeKey } from '../../flows/accounts/manage-keys';
import { signUp } from '../../flows/accounts/sign-up';
import { OrionError } from '../../lib/errors';
import { listUserKeys, listUsers } from '../../modules/accounts';
import type { ApiDeps } from '../deps';
import { nextCursor, type RouteMaker } from '../route';
import { presentKey, presentUser } from './presenter';

/** Adds the routes of accounts: sign-up, login, logout, keys, and the administration of users. */
export function addAccountRoutes(routes: RouteMaker, { ctx, reads, settings, limits, refusals }: ApiDeps): void {
  routes.on(calls.signUp, ...limits.signup).answer(async ({ body }) => {
    if (settings.signup === 'closed') {
      throw new OrionError('forbidden', 'Accounts are made by an operator here.');
    }
    const { maxLeases, maxLeaseHours } = settings;
    return { status: 201, body: { user: presentUser(await signUp(ctx, { ...body, role: 'user', maxLeases, maxLeaseHours })) } };
  });
  routes.on(calls.logIn, ...limits.login).answer(async ({ body, req }) => {
    const { user, token } = await logIn({ ...ctx, refusals }, body);
    await limits.loggedIn(req);
    return { status: 200, body: { token, token_type: 'Bearer', expires_in_seconds: ctx.tokens.ttlSeconds, user: presentUser(user) }, headers: { 'Cache-Control': 'no-store' } };
  });
  routes.on(calls.logOut).answer(async ({ by }) => {
    await logOut(ctx, by);
    return { status: 204 };
  });
  routes.on(calls.showMe).answer(({ by: { user } }) => Promise.resolve({ status: 200, body: { user: presentUser(user) } }));
  addKeyRoutes(routes, { ctx, reads });
  addUserRoutes(routes, { ctx, reads });
}

type Accounts = Pick<ApiDeps, 'ctx' | 'reads'>;

function addKeyRoutes(routes: RouteMaker, { ctx, reads }: Accounts): void {
  routes.on(calls.listKeys).answer(async ({ by: { user } }) => ({
    status: 200,
    body: { items: (await listUserKeys(reads, user.id)).map(presentKey) },
  }));
  routes.on(calls.addKey).answer(async ({ body, by: { user } }) => ({ status: 201, body: presentKey(await addKey(ctx, user, { name: body.name ?? '', publicKey: body.public_key })) }));
  routes.on(calls.removeKey).answer(async ({ params, by: { user } }) => {
    await removeKey(ctx, user, params.id);
    return { status: 204 };
  });
}

function addUserRoutes(routes: RouteMaker, { ctx, reads }: Accounts): void {
  routes.on(calls.listUsers).answer(async ({ query }) => {
    const users = await listUsers(reads, Number(query.cursor ?? 0), query.limit);
    return { status: 200, body: { items: users.map(presentUser), next_cursor: nextCursor(users, query.limit) } };
  });
  routes.on(calls.changeUser).answer(async ({ params, body, by: { user } }) => {
    const change = { maxLeases: body.max_leases, maxLeaseHours: body.max_lease_hours, role: body.role, disabled: body.disabled };
    return { status: 200, body: presentUser(await changeUser(ctx, { userId: params.id, by: user, change })) };
  });
}
