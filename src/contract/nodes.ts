import { z } from 'zod';
import { endpoint } from './endpoint';
import { nodeLabels, operatorLabelNames, operatorLabels } from './labels';
import { idParam, pageOf, pageQuery } from './paging';
import { caps, sharedStorage } from './resources';

const time = z.iso.datetime().nullable();
const forAdmins = {
  address: z.string(),
  ssh_port: z.int(),
  reach: z.enum(['direct', 'tunnel']).meta({ description: 'How the control plane gets to it' }),
  status_reason: z.string().nullable(),
  use: z.enum(['idle', 'busy', 'very_busy', 'short']).meta({
    description:
      'By its load, free memory and free disk. Of nodes that fit equally the least used one is leased; one that is short of disk or memory is not',
  }),
  status_since: time,
  drained: z.boolean(),
  leaving: z.boolean(),
  dirty: z.boolean(),
  host_key_fingerprint: z.string(),
  offered_host_key_fingerprint: z.string().nullable(),
  facts: z.record(z.string(), z.unknown()),
  last_checked_at: time,
  last_heartbeat_at: time,
  last_death_at: time,
  wiped_at: time,
  checks: z.array(z.object({ name: z.string(), result: z.enum(['ok', 'fail']), cause: z.string(), remedy: z.string() })),
  checked_at: time,
  wipe_failures: z.int(),
  provision_failures: z.int(),
  registered_at: time,
  max_cpus: z.int().nullable(),
  max_memory_mb: z.int().nullable(),
  withheld_reason: z.string().nullable().meta({ description: 'Why it is not leased although it was wiped' }),
  shared_storage: z.enum(['allow', 'refuse']).meta({ description: 'Whether it is leased while not_examined lists something' }),
  not_examined: z
    .array(sharedStorage)
    .meta({ description: 'Writable file systems that no wipe walks: network, cluster and FUSE file systems' }),
  uid_range: z.string().nullable().meta({ description: "The machine must use these uids; null: the fleet's", example: '70000-79999' }),
  uid_refusal: z.string().nullable().meta({ description: 'Why the machine refused several uids in a row' }),
};

/** Members that only lists contain. */
const pairing = {
  predecessor_id: z.int().nullable().meta({
    description:
      'In lists: a quarantined or dead node that was at the same address and port, as a rule this machine before it was installed anew',
  }),
  successor_id: z.int().nullable().meta({ description: 'In lists: the node that is at the address of this quarantined or dead one now' }),
};

const STATUSES = ['pending', 'unknown', 'alive', 'suspect', 'dead', 'quarantined', 'retired'] as const;

const forAll = {
  id: z.int(),
  hostname: z.string(),
  status: z.enum(STATUSES),
  cpus: z.int(),
  memory_mb: z.int(),
  labels: nodeLabels,
  free: z.boolean().meta({ description: 'It could be leased now' }),
  lease_id: z.int().nullable().meta({ description: 'The lease on it, if it is yours' }),
};

export const nodeAnswer = z
  .object({ ...forAll, ...z.object({ ...forAdmins, ...pairing }).partial().shape })
  .meta({ id: 'Node', description: 'Members from address on are for admins only.' });

const nodeForAdmin = z.object({ ...forAll, ...forAdmins, ...z.object(pairing).partial().shape }).meta({ id: 'NodeForAdmin' });

export const approveBody = z
  .strictObject({
    host_key_fingerprint: z.string().max(100).optional(),
    replaces: z.int().positive().optional().meta({
      description:
        'The node that the machine was before it was installed anew: it is retired in the same transaction. Refused while it answers and has a lease',
    }),
  })
  .meta({ id: 'Approve' });
export const drainBody = z.strictObject({ move: z.boolean().default(false) }).meta({ id: 'Drain' });
export const quarantineBody = z.strictObject({ reason: z.string().min(1).max(300) }).meta({ id: 'Quarantine' });

const labelBody = z.strictObject({ set: operatorLabels.default({}), remove: operatorLabelNames.default([]) }).meta({ id: 'Label' });
const limitBody = z.strictObject(caps).meta({ id: 'Limit' });
const sharedStorageBody = z
  .strictObject({
    policy: z.enum(['allow', 'refuse']).meta({ description: 'refuse: not leased while it has writable file systems that no wipe walks' }),
  })
  .meta({ id: 'SharedStorage' });

export type Node = z.output<typeof nodeAnswer>;
export type NodeStatus = Node['status'];
/** A node with every member that admins see. */
export type NodeForAdmin = z.output<typeof nodeForAdmin>;

export const listNodes = endpoint({
  method: 'get',
  path: '/api/nodes',
  summary: 'Nodes: for users what is free and their own, for admins all',
  access: 'user',
  audit: 'reads',
  query: pageQuery.extend({ status: z.enum(STATUSES).optional() }),
  answers: { 200: { description: 'A page', schema: pageOf(nodeAnswer) } },
});

export const streamNodes = endpoint({
  method: 'get',
  path: '/api/nodes/stream',
  summary: 'The fleet and its changes as server-sent events: snapshot, nodes (the snapshot goes on), node, gone',
  access: 'user',
  audit: 'reads',
  problems: [429, 503],
  answers: { 200: { description: 'text/event-stream' } },
});

const order = {
  method: 'post',
  access: 'admin',
  params: idParam,
  problems: [404, 409],
  answers: { 200: { description: 'The node as it is now', schema: nodeForAdmin } },
} as const;

export const approveNode = endpoint({
  ...order,
  path: '/api/nodes/{id}/approve',
  audit: ['node.approved', 'node.retired'],
  summary: 'Let a pending or quarantined node in',
  body: approveBody,
});
export const drainNode = endpoint({
  ...order,
  path: '/api/nodes/{id}/drain',
  audit: ['node.drained'],
  summary: 'No new leases; with "move", its lease goes elsewhere',
  body: drainBody,
});
export const undrainNode = endpoint({ ...order, path: '/api/nodes/{id}/undrain', audit: ['node.undrained'], summary: 'New leases again' });
export const quarantineNode = endpoint({
  ...order,
  path: '/api/nodes/{id}/quarantine',
  audit: ['node.quarantined'],
  summary: 'Out of service until approved',
  body: quarantineBody,
});
export const retireNode = endpoint({ ...order, path: '/api/nodes/{id}/retire', audit: ['node.retired'], summary: 'Out for good' });
export const labelNode = endpoint({
  ...order,
  path: '/api/nodes/{id}/label',
  audit: ['node.labelled'],
  summary: 'Change the labels that operators gave',
  body: labelBody,
});
export const limitNode = endpoint({
  ...order,
  path: '/api/nodes/{id}/limit',
  audit: ['node.limited'],
  summary: 'Let less of it count than it declares',
  body: limitBody,
});
export const decideSharedStorage = endpoint({
  ...order,
  path: '/api/nodes/{id}/shared-storage',
  audit: ['node.shared_storage'],
  summary: 'Whether it is leased although it has storage that other machines share',
  body: sharedStorageBody,
});
