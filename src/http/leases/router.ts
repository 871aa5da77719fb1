import { extendLease } from '../../flows/extend-lease';
import { releaseLease } from '../../flows/release-lease';
import { viewLeases } from '../../flows/view-lease';
import { OrionError } from '../../lib/errors';
import { listLeaseEvents } from '../../modules/audit';
import { findLease, listLeases, listPlacementsOfLease } from '../../modules/leases';
import type { ApiDeps } from '../deps';
import { idempotencyKeyOf, idParam, nextCursor, pageOf, pageQuery, principalOf, type RouteMaker } from '../route';
import { presentLease, presentLeaseDetail } from './presenter';
import { type Rent, RENT_PATH } from './rent';
import { extendBody, leaseAnswer, leaseDetail, leaseQuery, releaseBody, rentAnswer, rentBody, secondsOf } from './schema';

const MAX_EVENTS = 500;

/** Renting, prolonging, releasing and looking at leases. */
export function addLeaseRoutes(routes: RouteMaker, deps: ApiDeps & { rent: Rent }): void {
  addRent(routes, deps.rent);
  const { ctx, settings } = deps;
  const { gateway } = settings;
  routes.add(
    { method: 'post', path: '/api/extend', summary: 'Move the end of a lease', access: 'user', body: extendBody, answers: { 200: { description: 'Extended', schema: leaseAnswer } }, problems: [404, 422, 503] },
    async ({ body, req, res }) => {
      const view = await extendLease(ctx, { leaseId: body.lease_id, by: principalOf(res).user, seconds: secondsOf(body), idempotencyKey: idempotencyKeyOf(req) });
      return { status: 200, body: presentLease(view, gateway) };
    },
  );
  routes.add(
    { method: 'post', path: '/api/release', summary: 'End a lease now', access: 'user', body: releaseBody, answers: { 200: { description: 'Its account is being removed', schema: leaseAnswer } }, problems: [404] },
    async ({ body, res }) => ({ status: 200, body: presentLease(await releaseLease(ctx, { leaseId: body.lease_id, by: principalOf(res).user }), gateway) }),
  );
  addReads(routes, deps);
}

function addRent(routes: RouteMaker, rent: Rent): void {
  routes.add(
    {
      method: 'post', path: RENT_PATH, summary: 'Lease nodes, all or nothing', access: 'user', body: rentBody, problems: [403, 404, 422, 503],
      answers: { 201: { description: 'The leases with their access', schema: rentAnswer }, 200: { description: 'A repetition of an earlier request', schema: rentAnswer }, 202: { description: 'Leased; accounts are still being made: look at the leases', schema: rentAnswer } },
    },
    ({ body, req, res }) => rent({ body, by: principalOf(res).user, idempotencyKey: idempotencyKeyOf(req) }),
  );
}

function addReads(routes: RouteMaker, { reads, settings: { gateway } }: ApiDeps): void {
  const query = pageQuery.extend(leaseQuery);
  routes.add(
    { method: 'get', path: '/api/leases', summary: 'Leases, newest first', access: 'user', query, answers: { 200: { description: 'A page', schema: pageOf(leaseAnswer) } }, problems: [403] },
    async ({ query: { scope, running, cursor, limit }, res }) => {
      const { user } = principalOf(res);
      if (scope === 'all' && user.role !== 'admin') {
        throw new OrionError('forbidden', 'Only an admin may see every account\'s leases.');
      }
      const leases = await listLeases(reads, {
        ownerId: scope === 'all' ? undefined : user.id,
        runningOnly: running === 'true',
        beforeId: cursor === undefined ? undefined : Number(cursor),
        limit,
      });
      return { status: 200, body: { items: (await viewLeases(reads, leases)).map((view) => presentLease(view, gateway)), next_cursor: nextCursor(leases, limit) } };
    },
  );
  routes.add(
    { method: 'get', path: '/api/leases/:id', summary: 'A lease with its timeline', access: 'user', params: idParam, answers: { 200: { description: 'The lease', schema: leaseDetail } }, problems: [404] },
    async ({ params, res }) => {
      const { user } = principalOf(res);
      const lease = await findLease(reads, params.id);
      if (!lease || (lease.userId !== user.id && user.role !== 'admin')) {
        throw new OrionError('not_found', 'There is no such lease. `GET /api/leases` lists yours.');
      }
      const [view] = await viewLeases(reads, [lease]);
      const [events, placements] = await Promise.all([listLeaseEvents(reads, lease.id, MAX_EVENTS), listPlacementsOfLease(reads, lease.id)]);
      return { status: 200, body: presentLeaseDetail(view ?? { lease, placement: null, node: null, checkpoint: null }, gateway, { events, placements }) };
    },
  );
}

