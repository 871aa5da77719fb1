import { approve, drain, quarantineByOrder, retire, undrain } from '../../flows/operate-node';
import { issueJoinToken } from '../../flows/issue-join-token';
import { OrionError } from '../../lib/errors';
import { type JoinToken, listJoinTokens, listNodes, listPairings, revokeJoinToken } from '../../modules/nodes';
import type { ApiDeps } from '../deps';
import { idParam, nextCursor, pageOf, pageQuery, principalOf, type RouteMaker } from '../route';
import { addDecisions } from './decisions';
import { presentNode, presentNodeForAdmin, presentPairing } from './presenter';
import { approveBody, drainBody, newTokenAnswer, nodeAnswer, nodeQuery, quarantineBody, tokenAnswer, tokenBody } from './schema';
import { streamNodes } from './stream';

/** The fleet: looking at it for everybody, operating it for admins. Streams end when `stopping` aborts. */
export function addNodeRoutes(routes: RouteMaker, { ctx, reads, feed, settings }: ApiDeps, stopping: AbortSignal): void {
  const query = pageQuery.extend(nodeQuery);
  routes.add(
    { method: 'get', path: '/api/nodes', summary: 'Nodes: for users what is free and their own, for admins all', access: 'user', query, answers: { 200: { description: 'A page', schema: pageOf(nodeAnswer) } } },
    async ({ query: { cursor, limit, status }, res }) => {
      const { user } = principalOf(res);
      const admin = user.role === 'admin';
      const nodes = await listNodes(reads, { afterId: Number(cursor ?? 0), limit, ...(status ? { status } : {}), ...(admin ? {} : { visibleToUserId: user.id }) });
      // A user sees a node that is not free only when its lease is the user's own.
      const pairings = await listPairings(reads, admin ? nodes.map(({ id }) => id) : []);
      const items = nodes.map((node) => (admin ? { ...presentNodeForAdmin(node), ...presentPairing(pairings.get(node.id)) } : presentNode(node, !node.leasable)));
      return { status: 200, body: { items, next_cursor: nextCursor(nodes, limit) } };
    },
  );
  routes.add(
    { method: 'get', path: '/api/nodes/stream', summary: 'The fleet and its changes as server-sent events: snapshot, nodes (the snapshot goes on), node, gone', access: 'user', answers: { 200: { description: 'text/event-stream' } }, problems: [429, 503] },
    async ({ res }) => {
      await streamNodes({ clock: ctx.clock, feed, stopping }, res, principalOf(res));
      return { status: 200 };
    },
  );
  addOrders(routes, ctx);
  addDecisions(routes, ctx);
  addTokenRoutes(routes, { ctx, reads, settings });
}

function addOrders(routes: RouteMaker, ctx: ApiDeps['ctx']): void {
  const common = { method: 'post', access: 'admin', params: idParam, answers: { 200: { description: 'The node as it is now', schema: nodeAnswer } }, problems: [404, 409] } as const;
  routes.add({ ...common, path: '/api/nodes/:id/approve', summary: 'Let a pending or quarantined node in', body: approveBody }, async ({ params, body, res }) => {
    const node = await approve(ctx, { nodeId: params.id, by: principalOf(res).user, hostKeyFingerprint: body.host_key_fingerprint ?? null, replaces: body.replaces ?? null });
    return { status: 200, body: presentNodeForAdmin(node) };
  });
  routes.add({ ...common, path: '/api/nodes/:id/drain', summary: 'No new leases; with "move", its lease goes elsewhere', body: drainBody }, async ({ params, body, res }) => ({
    status: 200,
    body: presentNodeForAdmin(await drain(ctx, { nodeId: params.id, by: principalOf(res).user, move: body.move })),
  }));
  routes.add({ ...common, path: '/api/nodes/:id/undrain', summary: 'New leases again' }, async ({ params, res }) => ({
    status: 200,
    body: presentNodeForAdmin(await undrain(ctx, { nodeId: params.id, by: principalOf(res).user })),
  }));
  routes.add({ ...common, path: '/api/nodes/:id/quarantine', summary: 'Out of service until approved', body: quarantineBody }, async ({ params, body, res }) => ({
    status: 200,
    body: presentNodeForAdmin(await quarantineByOrder(ctx, { nodeId: params.id, by: principalOf(res).user, reason: body.reason })),
  }));
  routes.add({ ...common, path: '/api/nodes/:id/retire', summary: 'Out for good' }, async ({ params, res }) => ({
    status: 200,
    body: presentNodeForAdmin(await retire(ctx, { nodeId: params.id, by: principalOf(res).user })),
  }));
}

const presentToken = (token: JoinToken): Record<string, unknown> => ({
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
  routes.add(
    { method: 'post', path: '/api/tokens', summary: 'Issue a join token', access: 'admin', body: tokenBody, answers: { 201: { description: 'The token, shown this once', schema: newTokenAnswer } } },
    async ({ body, res }) => {
      const { name, labels, max_uses: maxUses, max_cpus: maxCpus, max_memory_mb: maxMemoryMb } = body;
      const ttlSeconds = Math.ceil(body.ttl_hours * 3600);
      const order = { name, maxUses, labels, maxCpus, maxMemoryMb, ttlSeconds, by: principalOf(res).user, controlKey: settings.management.controlKey };
      const { token, secret } = await issueJoinToken(ctx, order);
      return { status: 201, body: { ...presentToken(token), token: secret }, headers: { 'Cache-Control': 'no-store' } };
    },
  );
  routes.add(
    { method: 'get', path: '/api/tokens', summary: 'Join tokens, without their secrets', access: 'admin', query: pageQuery, answers: { 200: { description: 'A page', schema: pageOf(tokenAnswer) } } },
    async ({ query }) => {
      const tokens = await listJoinTokens(reads, Number(query.cursor ?? 0), query.limit);
      return { status: 200, body: { items: tokens.map(presentToken), next_cursor: nextCursor(tokens, query.limit) } };
    },
  );
  routes.add(
    { method: 'delete', path: '/api/tokens/:id', summary: 'Revoke a join token', access: 'admin', params: idParam, answers: { 200: { description: 'Revoked', schema: tokenAnswer } }, problems: [404] },
    async ({ params }) => {
      const token = await revokeJoinToken(ctx.db, params.id);
      if (!token) {
        throw new OrionError('not_found', 'There is no such join token. `GET /api/tokens` lists them.');
      }
      return { status: 200, body: presentToken(token) };
    },
  );
}
