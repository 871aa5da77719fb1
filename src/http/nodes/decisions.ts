import { z } from 'zod';
import { decideSharedStorage, label, limit } from '../../flows/decide-node';
import { MAX_LABELS } from '../../modules/nodes';
import type { ApiDeps } from '../deps';
import { LABEL_NAME } from '../leases/schema';
import { idParam, principalOf, type RouteMaker } from '../route';
import { caps, isOperators, operatorLabels } from './caps';
import { presentNodeForAdmin } from './presenter';
import { nodeAnswer } from './schema';

const labelBody = z
  .strictObject({
    set: operatorLabels.default({}),
    remove: z.array(z.string().regex(LABEL_NAME).refine(isOperators, 'what a node declares goes when the node no longer declares it')).max(MAX_LABELS).default([]),
  })
  .meta({ id: 'Label' });
const sharedStorageBody = z
  .strictObject({ policy: z.enum(['allow', 'refuse']).meta({ description: 'refuse: not leased while it has writable file systems that no wipe walks' }) })
  .meta({ id: 'SharedStorage' });
const limitBody = z.strictObject(caps).meta({ id: 'Limit' });

/** What operators decide about a node beside what it declares. */
export function addDecisions(routes: RouteMaker, ctx: ApiDeps['ctx']): void {
  const common = { method: 'post', access: 'admin', params: idParam, answers: { 200: { description: 'The node as it is now', schema: nodeAnswer } }, problems: [404, 409] } as const;
  routes.add({ ...common, path: '/api/nodes/:id/label', summary: 'Change the labels that operators gave', body: labelBody }, async ({ params, body, res }) => ({
    status: 200,
    body: presentNodeForAdmin(await label(ctx, { nodeId: params.id, by: principalOf(res).user, ...body })),
  }));
  routes.add({ ...common, path: '/api/nodes/:id/limit', summary: 'Let less of it count than it declares', body: limitBody }, async ({ params, body, res }) => ({
    status: 200,
    body: presentNodeForAdmin(await limit(ctx, { nodeId: params.id, by: principalOf(res).user, maxCpus: body.max_cpus, maxMemoryMb: body.max_memory_mb })),
  }));
  routes.add({ ...common, path: '/api/nodes/:id/shared-storage', summary: 'Whether it is leased although it has storage that other machines share', body: sharedStorageBody }, async ({ params, body, res }) => ({
    status: 200,
    body: presentNodeForAdmin(await decideSharedStorage(ctx, { nodeId: params.id, by: principalOf(res).user, policy: body.policy })),
  }));
}
