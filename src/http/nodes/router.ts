import type * as contract from '../../contract';
import * as calls from '../../contract/nodes';
import * as tokens from '../../contract/tokens';
import { approve, drain, quarantineByOrder, retire, undrain } from '../../flows/nodes/operate-node';
import { issueJoinToken } from '../../flows/enrolment/issue-join-token';
import { revokeToken } from '../../flows/enrolment/revoke-join-token';
import { type JoinToken, listJoinTokens, listNodes, listPairings } from '../../modules/nodes';
import type { ApiDeps } from '../deps';
import { nextCursor, type RouteMaker } from '../route';
import { addDecisions } from './decisions';
import { presentNode, presentNodeForAdmin, presentPairing } from './presenter';
import { streamNodes } from './stream';

/** Adds the routes that show the fleet to everybody, and those with which admins operate it. Streams end when `stopping` aborts. */
export function addNodeRoutes(routes: RouteMaker, { ctx, reads, feed, settings }: ApiDeps, stopping: AbortSignal): void {
  routes.on(calls.listNodes).answer(async ({ query: { cursor, limit, status }, by: { user } }) => {
    const admin = user.role === 'admin';
    const nodes = await listNodes(reads, {
      afterId: Number(cursor ?? 0),
      limit,
      ...(status ? { status } : {}),
      ...(admin ? {} : { visibleToUserId: user.id }),
    });
    // A user sees a node that is not free only when its lease is the user's own.
    const pairings = await listPairings(reads, admin ? nodes.map(({ id }) => id) : []);
    const items = nodes.map((node) =>
      admin ? { ...presentNodeForAdmin(node), ...presentPairing(pairings.get(node.id)) } : presentNode(node, !node.leasable),
    );
    return { status: 200, body: { items, next_cursor: nextCursor(nodes, limit) } };
  });
  routes.on(calls.streamNodes).answer(async ({ by, res }) => {
    await streamNodes({ clock: ctx.clock, feed, stopping }, res, by);
    return { status: 200 };
  });
  addOrders(routes, ctx);
  addDecisions(routes, ctx);
  addTokenRoutes(routes, { ctx, reads, settings });
}

function addOrders(routes: RouteMaker, ctx: ApiDeps['ctx']): void {
  routes.on(calls.approveNode).answer(async ({ params, body, by: { user } }) => {
    const node = await approve(ctx, {
      nodeId: params.id,
      by: user,
      hostKeyFingerprint: body.host_key_fingerprint ?? null,
      replaces: body.replaces ?? null,
    });
    return { status: 200, body: presentNodeForAdmin(node) };
  });
  routes.on(calls.drainNode).answer(async ({ params, body, by: { user } }) => ({
    status: 200,
    body: presentNodeForAdmin(await drain(ctx, { nodeId: params.id, by: user, move: body.move })),
  }));
  routes.on(calls.undrainNode).answer(async ({ params, by: { user } }) => ({
    status: 200,
    body: presentNodeForAdmin(await undrain(ctx, { nodeId: params.id, by: user })),
  }));
  routes.on(calls.quarantineNode).answer(async ({ params, body, by: { user } }) => ({
    status: 200,
    body: presentNodeForAdmin(await quarantineByOrder(ctx, { nodeId: params.id, by: user, reason: body.reason })),
  }));
  routes.on(calls.retireNode).answer(async ({ params, by: { user } }) => ({
    status: 200,
    body: presentNodeForAdmin(await retire(ctx, { nodeId: params.id, by: user })),
  }));
}

const presentToken = (token: JoinToken): contract.JoinToken => ({
  id: token.id,
  name: token.name,
  max_uses: token.maxUses,
  uses: token.uses,
  labels: token.labels,
  max_cpus: token.maxCpus,
  max_memory_mb: token.maxMemoryMb,
  expires_at: token.expiresAt.toISOString(),
  revoked_at: token.revokedAt?.toISOString() ?? null,
  created_at: token.createdAt.toISOString(),
});

function addTokenRoutes(routes: RouteMaker, { ctx, reads, settings }: Pick<ApiDeps, 'ctx' | 'reads' | 'settings'>): void {
  routes.on(tokens.issueToken).answer(async ({ body, by: { user } }) => {
    const { name, labels, max_uses: maxUses, max_cpus: maxCpus, max_memory_mb: maxMemoryMb } = body;
    const ttlSeconds = Math.ceil(body.ttl_hours * 3600);
    const order = { name, maxUses, labels, maxCpus, maxMemoryMb, ttlSeconds, by: user, controlKey: settings.management.controlKey };
    const { token, secret } = await issueJoinToken(ctx, order);
    return { status: 201, body: { ...presentToken(token), token: secret }, headers: { 'Cache-Control': 'no-store' } };
  });
  routes.on(tokens.listTokens).answer(async ({ query }) => {
    const found = await listJoinTokens(reads, Number(query.cursor ?? 0), query.limit);
    return { status: 200, body: { items: found.map(presentToken), next_cursor: nextCursor(found, query.limit) } };
  });
  routes.on(tokens.revokeToken).answer(async ({ params, by: { user } }) => ({
    status: 200,
    body: presentToken(await revokeToken(ctx, { tokenId: params.id, by: user })),
  }));
}
