import * as calls from '../../contract/accounts';
import { changePassword, redeemCode } from '../../flows/accounts/change-password';
import { endAllSessions, endSession } from '../../flows/accounts/end-sessions';
import { logIn } from '../../flows/accounts/log-in';
import { logOut } from '../../flows/accounts/log-out';
import { addKey, removeKey } from '../../flows/accounts/manage-keys';
import { signUp } from '../../flows/accounts/sign-up';
import { OrionError } from '../../lib/errors';
import { listSessions, listUserKeys, type User } from '../../modules/accounts';
import type { ApiDeps } from '../deps';
import type { Answered, RouteMaker } from '../route';
import { addPeopleRoutes } from './people';
import { presentKey, presentSession, presentUser } from './presenter';

/** Adds the routes of accounts: sign-up, login, logout, password, sessions, keys, and the administration of users. */
export function addAccountRoutes(routes: RouteMaker, deps: ApiDeps): void {
  const { ctx, settings, limits } = deps;
  routes.on(calls.signUp, ...limits.signup).answer(async ({ body }) => {
    if (settings.signup === 'closed') {
      throw new OrionError(
        'forbidden',
        'Accounts are made by an operator here (`orion users create`). Ask one, and set your password with: orion passwd --code',
      );
    }
    const { maxLeases, maxLeaseHours } = settings;
    return { status: 201, body: { user: presentUser(await signUp(ctx, { ...body, role: 'user', maxLeases, maxLeaseHours })) } };
  });
  routes.on(calls.showMe).answer(({ by: { user } }) => Promise.resolve({ status: 200, body: { user: presentUser(user) } }));
  addSignInRoutes(routes, deps);
  addSessionRoutes(routes, deps);
  addKeyRoutes(routes, deps);
  addPeopleRoutes(routes, deps);
}

function addSignInRoutes(routes: RouteMaker, { ctx: { db, tokens }, limits, refusals }: ApiDeps): void {
  const ctx = { db, tokens, refusals };
  const answer = ({ user, token }: { user: User; token: string }): Answered<typeof calls.logIn> => ({
    status: 200,
    body: { token, token_type: 'Bearer', expires_in_seconds: tokens.ttlSeconds, user: presentUser(user) },
    headers: { 'Cache-Control': 'no-store' },
  });
  routes.on(calls.logIn, ...limits.login).answer(async ({ body, req }) => {
    const session = await logIn(ctx, { ...body, client: req.headers['user-agent'] });
    await limits.loggedIn(req);
    return answer(session);
  });
  routes.on(calls.useCode, ...limits.login).answer(async ({ body: { username, code, new_password: newPassword }, req }) => {
    const session = await redeemCode(ctx, { username, code, newPassword, client: req.headers['user-agent'] });
    await limits.loggedIn(req);
    return answer(session);
  });
  routes.on(calls.changePassword, ...limits.login).answer(async ({ body, by: { user }, req }) => {
    const passwords = { oldPassword: body.old_password, newPassword: body.new_password };
    return answer(await changePassword(ctx, { by: user, ...passwords, client: req.headers['user-agent'] }));
  });
  routes.on(calls.logOut).answer(async ({ by }) => {
    await logOut(ctx, by);
    return { status: 204 };
  });
}

const MAX_SESSIONS = 200;

function addSessionRoutes(routes: RouteMaker, { ctx, reads }: Pick<ApiDeps, 'ctx' | 'reads'>): void {
  routes.on(calls.listSessions).answer(async ({ by: { user, token } }) => {
    const sessions = await listSessions(reads, user.id, MAX_SESSIONS);
    return { status: 200, body: { items: sessions.map((session) => presentSession(session, token.tokenId)) } };
  });
  routes.on(calls.endSession).answer(async ({ params, by: { user } }) => {
    await endSession(ctx, user, params.id);
    return { status: 204 };
  });
  routes.on(calls.endAllSessions).answer(async ({ by: { user } }) => {
    await endAllSessions(ctx, user);
    return { status: 204 };
  });
}

function addKeyRoutes(routes: RouteMaker, { ctx, reads }: Pick<ApiDeps, 'ctx' | 'reads'>): void {
  routes.on(calls.listKeys).answer(async ({ by: { user } }) => ({
    status: 200,
    body: { items: (await listUserKeys(reads, user.id)).map(presentKey) },
  }));
  routes.on(calls.addKey).answer(async ({ body, by: { user } }) => ({
    status: 201,
    body: presentKey(await addKey(ctx, user, { name: body.name ?? '', publicKey: body.public_key })),
  }));
  routes.on(calls.removeKey).answer(async ({ params, by: { user } }) => {
    await removeKey(ctx, user, params.id);
    return { status: 204 };
  });
}
