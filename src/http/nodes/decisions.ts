import * as calls from '../../contract/nodes';
import { decideSharedStorage, label, limit } from '../../flows/nodes/decide-node';
import type { ApiDeps } from '../deps';
import { type RouteMaker } from '../route';
import { presentNodeForAdmin } from './presenter';

/** Adds the routes for what operators decide about a node, in addition to what the node declares. */
export function addDecisions(routes: RouteMaker, ctx: ApiDeps['ctx']): void {
  routes.on(calls.labelNode).answer(async ({ params, body, by: { user } }) => ({
    status: 200,
    body: presentNodeForAdmin(await label(ctx, { nodeId: params.id, by: user, ...body })),
  }));
  routes.on(calls.limitNode).answer(async ({ params, body, by: { user } }) => ({
    status: 200,
    body: presentNodeForAdmin(await limit(ctx, { nodeId: params.id, by: user, maxCpus: body.max_cpus, maxMemoryMb: body.max_memory_mb })),
  }));
  routes.on(calls.decideSharedStorage).answer(async ({ params, body, by: { user } }) => ({
    status: 200,
    body: presentNodeForAdmin(await decideSharedStorage(ctx, { nodeId: params.id, by: user, policy: body.policy })),
  }));
}
