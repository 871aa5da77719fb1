import { z } from 'zod';
import { nodeLabels } from '../leases/schema';
import { PRINTABLE } from '../printable';
import { caps, operatorLabels } from './caps';

const time = z.iso.datetime().nullable();
const forAdmins = {
  address: z.string(),
  ssh_port: z.int(),
  reach: z.enum(['direct', 'tunnel']).meta({ description: 'How the control plane gets to it' }),
  status_reason: z.string().nullable(),
  use: z.enum(['idle', 'busy', 'very_busy', 'short']).meta({ description: 'By its load, free memory and free disk. Of nodes that fit equally the least used one is leased; one that is short of disk or memory is not' }),
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
  not_examined: z.array(z.object({ path: z.string(), type: z.string() })).meta({ description: 'Writable file systems that no wipe walks: network, cluster and FUSE file systems' }),
  uid_range: z.string().nullable().meta({ description: 'The machine must use these uids; null: the fleet\'s', example: '70000-79999' }),
  uid_refusal: z.string().nullable().meta({ description: 'Why the machine refused several uids in a row' }),
  predecessor_id: z.int().nullable().meta({ description: 'In lists: a quarantined or dead node that was at the same address and port, as a rule this machine before it was installed anew' }),
  successor_id: z.int().nullable().meta({ description: 'In lists: the node that is at the address of this quarantined or dead one now' }),
};

const STATUSES = ['pending', 'unknown', 'alive', 'suspect', 'dead', 'quarantined', 'retired'] as const;

export const nodeAnswer = z
  .object({
    id: z.int(),
    hostname: z.string(),
    status: z.enum(STATUSES),
    cpus: z.int(),
    memory_mb: z.int(),
    labels: nodeLabels,
    free: z.boolean().meta({ description: 'It could be leased now' }),
    lease_id: z.int().nullable().meta({ description: 'The lease on it, if it is yours' }),
    ...z.object(forAdmins).partial().shape,
  })
  .meta({ id: 'Node', description: 'Members from address on are for admins only.' });

export const nodeQuery = { status: z.enum(STATUSES).optional() };

export const approveBody = z
  .strictObject({
    host_key_fingerprint: z.string().max(100).optional(),
    replaces: z.int().positive().optional().meta({ description: 'The node that the machine was before it was installed anew: it is retired in the same transaction. Refused while it answers and has a lease' }),
  })
 .meta({ id: 'Approve' });
export const drainBody = z.strictObject({ move: z.boolean().default(false) }).meta({ id: 'Drain' });
export const quarantineBody = z.strictObject({ reason: z.string().min(1).max(300) }).meta({ id: 'Quarantine' });

export const tokenBody = z
  .strictObject({
    name: z.string().min(1).max(64).regex(PRINTABLE, 'use printable characters'),
    max_uses: z.int().min(1).max(100_000).default(1),
    ttl_hours: z.number().positive().max(24 * 366).default(24),
    labels: operatorLabels.default({}),
    ...caps,
  })
  .meta({ id: 'NewJoinToken' });

const tokenFields = {
  id: z.int(),
  name: z.string(),
  max_uses: z.int(),
  uses: z.int(),
  labels: operatorLabels,
  max_cpus: z.int().nullable(),
  max_memory_mb: z.int().nullable(),
  expires_at: z.iso.datetime(),
  revoked_at: time,
  created_at: z.iso.datetime(),
};
export const tokenAnswer = z.object(tokenFields).meta({ id: 'JoinToken' });
export const newTokenAnswer = z.object({ ...tokenFields, token: z.string().meta({ description: 'Shown this once' }) }).meta({ id: 'IssuedJoinToken' });
