import { extendLease } from '../../flows/extend-lease';
import { releaseLease } from '../../flows/release-lease';
import { type RentOutcome, rentNodes } from '../../flows/rent-nodes';
import { createReserve } from '../../flows/reserve-together';
import { viewLeases } from '../../flows/view-lease';
import { OrionError } from '../../lib/errors';
import { findUser, findUserByName, listUserKeys, parseSshPublicKey, type User } from '../../modules/accounts';
import { listLeaseEvents } from '../../modules/audit';
import { findLease, listLeases, listPlacementsOfLease } from '../../modules/leases';
import type { RentResult } from '../../modules/telemetry';
import type { ApiDeps } from '../deps';
import { type Answer, idempotencyKeyOf, idParam, nextCursor, pageOf, pageQuery, principalOf, type RouteMaker } from '../route';
import { type GatewayAddress, presentLease, presentLeaseDetail } from './presenter';
import { extendBody, leaseAnswer, leaseDetail, leaseQuery, releaseBody, rentAnswer, rentBody, secondsOf } from './schema';

type Ctx = ApiDeps['ctx'];

const MAX_EVENTS = 500;

/** Renting, prolonging, releasing and looking at leases. */
export function addLeaseRoutes(routes: RouteMaker, deps: ApiDeps): void {
  addRent(routes, deps);
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

function addRent(routes: RouteMaker, deps: ApiDeps): void {
  const { settings } = deps;
  const ctx = { ...deps.ctx, reserve: createReserve(deps.ctx) };
  routes.add(
    {
      method: 'post', path: '/api/rent', summary: 'Lease nodes, all or nothing', access: 'user', body: rentBody, problems: [403, 404, 422, 503],
      answers: { 201: { description: 'The leases with their access', schema: rentAnswer }, 200: { description: 'A repetition of an earlier request', schema: rentAnswer }, 202: { description: 'Leased; accounts are still being made: look at the leases', schema: rentAnswer } },
    },
    async ({ body, req, res }) => {
      const startedAt = ctx.clock.monotonicMs();
      try {
        const { user: requestedBy } = principalOf(res);
        const user = await findClient(ctx, requestedBy, body.client_id);
        const durationSeconds = secondsOf(body);
        if (durationSeconds < settings.minLeaseSeconds) {
          throw new OrionError('invalid_request', `A lease lasts at least ${settings.minLeaseSeconds} s.`);
        }
        const { cpus, memory_mb: memoryMb, labels } = body.requirements;
        const keyInRequest = body.ssh_public_key === undefined ? null : parseSshPublicKey(body.ssh_public_key).line;
        const outcome = await rentNodes(ctx, {
          user, requestedBy, durationSeconds, count: body.count, requirements: { cpus, memoryMb, labels },
          publicKeys: await findKeys(ctx, user, { given: keyInRequest, passwordWillDo: body.with_password }),
          keyInRequest,
          withPassword: body.with_password,
          checkpoint: body.checkpoint,
          idempotencyKey: idempotencyKeyOf(req),
        });
        ctx.metrics.rents.inc({ result: outcome.replayed ? 'replayed' : outcome.complete ? 'ok' : 'pending' });
        return answerRent(outcome, settings.gateway);
      } catch (error) {
        ctx.metrics.rents.inc({ result: resultOf(error) });
        throw error;
      } finally {
        ctx.metrics.rentSeconds.observe((ctx.clock.monotonicMs() - startedAt) / 1000);
      }
    },
  );
}

function answerRent({ leases, password, replayed, complete }: RentOutcome, gateway: GatewayAddress | null): Answer {
  const headers = { 'Cache-Control': 'no-store', ...(replayed ? { 'Idempotent-Replayed': 'true' } : {}) };
  return { status: complete ? (replayed ? 200 : 201) : 202, headers, body: { leases: leases.map((view) => presentLease(view, gateway)), password } };
}

function resultOf(error: unknown): RentResult {
  const code = error instanceof OrionError ? error.code : 'internal';
  if (code === 'no_node_free') {
    return 'no_node';
  }
  return code === 'internal' || code === 'unavailable' || code === 'provisioning_failed' ? 'failed' : 'refused';
}

/** R11: a client rents for itself; an admin may name another. */
async function findClient(ctx: Ctx, me: User, clientId: number | string | undefined): Promise<User> {
  if (clientId === undefined || clientId === me.id || clientId === me.username) {
    return me;
  }
  if (me.role !== 'admin') {
    throw new OrionError('forbidden', 'Only an admin may rent for another account. Leave client_id out, or give your own.');
  }
  const client = typeof clientId === 'number' ? await findUser(ctx.db, clientId) : await findUserByName(ctx.db, clientId);
  if (!client || client.disabledAt !== null) {
    throw new OrionError('not_found', 'There is no such account, or it is disabled.');
  }
  return client;
}

async function findKeys(ctx: Ctx, user: User, { given, passwordWillDo }: { given: string | null; passwordWillDo: boolean }): Promise<string[]> {
  if (given !== null) {
    return [given];
  }
  const keys = (await listUserKeys(ctx.db, user.id)).map(({ publicKey }) => publicKey);
  if (keys.length === 0 && !passwordWillDo) {
    throw new OrionError('public_key_missing', 'Give "ssh_public_key", or add a key to the account with `POST /api/keys`, or ask for "with_password": true.');
  }
  return keys;
}

function addReads(routes: RouteMaker, { ctx, settings: { gateway } }: ApiDeps): void {
  const query = pageQuery.extend(leaseQuery);
  routes.add(
    { method: 'get', path: '/api/leases', summary: 'Leases, newest first', access: 'user', query, answers: { 200: { description: 'A page', schema: pageOf(leaseAnswer) } }, problems: [403] },
    async ({ query: { scope, running, cursor, limit }, res }) => {
      const { user } = principalOf(res);
      if (scope === 'all' && user.role !== 'admin') {
        throw new OrionError('forbidden', 'Only an admin may see every account\'s leases.');
      }
      const leases = await listLeases(ctx.db, {
        ownerId: scope === 'all' ? undefined : user.id,
        runningOnly: running === 'true',
        beforeId: cursor === undefined ? undefined : Number(cursor),
        limit,
      });
      return { status: 200, body: { items: (await viewLeases(ctx.db, leases)).map((view) => presentLease(view, gateway)), next_cursor: nextCursor(leases, limit) } };
    },
  );
  routes.add(
    { method: 'get', path: '/api/leases/:id', summary: 'A lease with its timeline', access: 'user', params: idParam, answers: { 200: { description: 'The lease', schema: leaseDetail } }, problems: [404] },
    async ({ params, res }) => {
      const { user } = principalOf(res);
      const lease = await findLease(ctx.db, params.id);
      if (!lease || (lease.userId !== user.id && user.role !== 'admin')) {
        throw new OrionError('not_found', 'There is no such lease. `GET /api/leases` lists yours.');
      }
      const [view] = await viewLeases(ctx.db, [lease]);
      const [events, placements] = await Promise.all([listLeaseEvents(ctx.db, lease.id, MAX_EVENTS), listPlacementsOfLease(ctx.db, lease.id)]);
      return { status: 200, body: presentLeaseDetail(view ?? { lease, placement: null, node: null, checkpoint: null }, gateway, { events, placements }) };
    },
  );
}

