import * as calls from '../../contract/leases';
import { extendLease } from '../../flows/leases/extend-lease';
import { releaseLease } from '../../flows/leases/release-lease';
import { viewLeases } from '../../flows/leases/view-lease';
import { OrionError } from '../../lib/errors';
import { listLeaseEvents } from '../../modules/audit';
import { findLease, listLeases, listPlacementsOfLease } from '../../modules/leases';
import type { ApiDeps } from '../deps';
import { idempotencyKeyOf, nextCursor, type RouteMaker } from '../route';
import { presentLease, presentLeaseDetail } from './presenter';
import type { Rent } from './rent';

const MAX_EVENTS = 500;

/** Adds the routes that rent, extend, release and show leases. */
export function addLeaseRoutes(routes: RouteMaker, deps: ApiDeps & { rent: Rent }): void {
  routes.on(calls.rentNodes).answer(({ body, req, by: { user } }) => deps.rent({ body, by: user, idempotencyKey: idempotencyKeyOf(req) }));
  const { ctx, settings } = deps;
  const { gateway } = settings;
  routes.on(calls.extendLease).answer(async ({ body, req, by: { user } }) => {
    const view = await extendLease(ctx, {
      leaseId: body.lease_id,
      by: user,
      seconds: calls.secondsOf(body),
      idempotencyKey: idempotencyKeyOf(req),
    });
    return { status: 200, body: presentLease(view, gateway) };
  });
  routes.on(calls.releaseLease).answer(async ({ body, by: { user } }) => ({
    status: 200,
    body: presentLease(await releaseLease(ctx, { leaseId: body.lease_id, by: user }), gateway),
  }));
  addReads(routes, deps);
}

function addReads(routes: RouteMaker, { reads, settings: { gateway } }: ApiDeps): void {
  routes.on(calls.listLeases).answer(async ({ query: { scope, running, cursor, limit }, by: { user } }) => {
    if (scope === 'all' && user.role !== 'admin') {
      throw new OrionError('forbidden', "Only an admin may see every account's leases.");
    }
    const leases = await listLeases(reads, {
      ownerId: scope === 'all' ? undefined : user.id,
      runningOnly: running === 'true',
      beforeId: cursor === undefined ? undefined : Number(cursor),
      limit,
    });
    return {
      status: 200,
      body: { items: (await viewLeases(reads, leases)).map((view) => presentLease(view, gateway)), next_cursor: nextCursor(leases, limit) },
    };
  });
  routes.on(calls.showLease).answer(async ({ params, by: { user } }) => {
    const lease = await findLease(reads, params.id);
    if (!lease || (lease.userId !== user.id && user.role !== 'admin')) {
      throw new OrionError('not_found', 'There is no such lease. `GET /api/leases` lists yours.');
    }
    const [view] = await viewLeases(reads, [lease]);
    const [events, placements] = await Promise.all([listLeaseEvents(reads, lease.id, MAX_EVENTS), listPlacementsOfLease(reads, lease.id)]);
    return {
      status: 200,
      body: presentLeaseDetail(view ?? { lease, placement: null, node: null, checkpoint: null }, gateway, { events, placements }),
    };
  });
}
