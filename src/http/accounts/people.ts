import * as calls from '../../contract/accounts';
import { changeUser } from '../../flows/people/change-user';
import { createUser, resetPassword } from '../../flows/people/create-user';
import { deleteUser } from '../../flows/people/delete-user';
import { findNamedUser } from '../../flows/people/named-user';
import { listUsers } from '../../modules/accounts';
import type { ApiDeps } from '../deps';
import { nextCursor, type RouteMaker } from '../route';
import { presentCode, presentUser } from './presenter';

const NO_STORE = { 'Cache-Control': 'no-store' };

/** Adds the routes with which operators administer the accounts of people. */
export function addPeopleRoutes(routes: RouteMaker, { ctx, reads, settings }: Pick<ApiDeps, 'ctx' | 'reads' | 'settings'>): void {
  routes.on(calls.listUsers).answer(async ({ query }) => {
    const users = await listUsers(reads, Number(query.cursor ?? 0), query.limit);
    return { status: 200, body: { items: users.map(presentUser), next_cursor: nextCursor(users, query.limit) } };
  });
  routes.on(calls.createUser).answer(async ({ body, by }) => {
    const { maxLeases, maxLeaseHours } = settings;
    const limits = { maxLeases: body.max_leases ?? maxLeases, maxLeaseHours: body.max_lease_hours ?? maxLeaseHours };
    const { user, code } = await createUser(ctx, {
      username: body.username,
      password: body.password,
      role: body.role ?? 'user',
      ...limits,
      by: by.user,
    });
    return { status: 201, body: { user: presentUser(user), one_time_code: code && presentCode(code) }, headers: NO_STORE };
  });
  routes.on(calls.showUser).answer(async ({ params }) => ({ status: 200, body: presentUser(await findNamedUser(reads, params.id)) }));
  routes.on(calls.changeUser).answer(async ({ params, body, by: { user } }) => {
    const change = { maxLeases: body.max_leases, maxLeaseHours: body.max_lease_hours, role: body.role, disabled: body.disabled };
    const { id: userId } = await findNamedUser(ctx.db, params.id);
    return { status: 200, body: presentUser(await changeUser(ctx, { userId, by: user, change, keepLeases: body.keep_leases })) };
  });
  routes.on(calls.deleteUser).answer(async ({ params, query, by: { user } }) => {
    const { id: userId } = await findNamedUser(ctx.db, params.id);
    return { status: 200, body: presentUser(await deleteUser(ctx, { userId, by: user, keepLeases: query.keep_leases === 'true' })) };
  });
  routes.on(calls.resetPassword).answer(async ({ params, by: { user } }) => {
    const { id: userId } = await findNamedUser(ctx.db, params.id);
    return { status: 201, body: presentCode(await resetPassword(ctx, { userId, by: user })), headers: NO_STORE };
  });
}
