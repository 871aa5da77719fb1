import { z } from 'zod';
import { endpoint } from './endpoint';
import { labels } from './labels';
import { idParam, pageOf, pageQuery } from './paging';
import { MAX_CPUS, MAX_MEMORY_MB, sharedStorage } from './resources';

const MAX_HOURS = 24 * 366;
const requirements = z
  .strictObject({
    cpus: z.int().min(1).max(MAX_CPUS).default(1),
    memory_mb: z.int().min(0).max(MAX_MEMORY_MB).default(0),
    labels: labels.default({}),
  })
  .meta({ id: 'Requirements' });

const duration = {
  duration_hours: z.number().positive().max(MAX_HOURS).optional().meta({ example: 2 }),
  duration_minutes: z
    .number()
    .positive()
    .max(MAX_HOURS * 60)
    .optional(),
};

interface Duration {
  duration_hours?: number | undefined;
  duration_minutes?: number | undefined;
}

const exactlyOne = (body: Duration): boolean => (body.duration_hours === undefined) !== (body.duration_minutes === undefined);
const EXACTLY_ONE = { error: 'give either duration_hours or duration_minutes', path: ['duration_hours'] };

/** Returns the duration of a valid body in seconds. */
export const secondsOf = ({ duration_hours: hours, duration_minutes: minutes }: Duration): number =>
  (hours ?? 0) * 3600 + (minutes ?? 0) * 60;

const clientId = z.union([z.int().min(1), z.string().min(1).max(64)]);

export const rentBody = z
  .strictObject({
    ...duration,
    client_id: clientId
      .optional()
      .meta({ description: 'Id or name of the account that gets the leases; an admin may rent for another. Default: you.' }),
    count: z.int().min(1).max(100).default(1),
    requirements: requirements.default({ cpus: 1, memory_mb: 0, labels: {} }),
    ssh_public_key: z.string().max(8192).optional().meta({ description: 'One OpenSSH public key. Default: the keys of the account.' }),
    with_password: z.boolean().default(false).meta({ description: 'Also make a password; it is shown once.' }),
    checkpoint: z
      .boolean()
      .default(true)
      .meta({ description: 'Save the home at an interval, where checkpoints are on: when the lease moves, it is put back.' }),
  })
  .refine(exactlyOne, EXACTLY_ONE)
  .meta({ id: 'Rent' });

const atLeastASecond = (body: Duration): boolean => !exactlyOne(body) || secondsOf(body) >= 1;

export const extendBody = z
  .strictObject({ lease_id: z.int().min(1), ...duration })
  .refine(exactlyOne, EXACTLY_ONE)
  .refine(atLeastASecond, { error: 'extend by at least a second', path: ['duration_hours'] })
  .meta({ id: 'Extend' });
export const releaseBody = z.strictObject({ lease_id: z.int().min(1) }).meta({ id: 'Release' });

const leaseQuery = pageQuery.extend({
  scope: z.enum(['mine', 'all']).default('mine').meta({ description: "all: every account's, for admins" }),
  running: z.enum(['true', 'false']).default('false').meta({ description: 'true: leave out those that are over' }),
});

const time = z.iso.datetime();
const access = z
  .object({
    host: z.string(),
    port: z.int(),
    username: z.string(),
    host_key: z.string(),
    host_key_fingerprint: z.string(),
    known_hosts: z.string().meta({ description: 'A line for a known_hosts file' }),
    command: z.string(),
  })
  .meta({ id: 'Access' });

const gateway = z
  .object({
    host: z.string(),
    port: z.int(),
    username: z.string(),
    host_key: z.string(),
    known_hosts: z.string().meta({ description: 'Lines for a known_hosts file' }),
    command: z.string(),
  })
  .meta({ id: 'Gateway' });

const checkpoint = z
  .object({
    enabled: z.boolean(),
    last_at: time.nullable().meta({ description: 'What was written before is saved' }),
    age_seconds: z.number().nullable(),
    bytes: z.int().meta({ description: 'What is stored of the lease, encrypted' }),
    error: z.string().nullable().meta({ description: 'Why the last attempt failed, or what could not be restored' }),
  })
  .meta({ id: 'Checkpoint' });

const leaseFields = {
  id: z.int(),
  state: z.enum(['provisioning', 'active', 'migrating', 'ending', 'ended', 'failed']),
  client_id: z.int(),
  created_at: time,
  ends_at: time,
  remaining_seconds: z.number(),
  generation: z.int(),
  waiting_since: time.nullable(),
  ended_at: time.nullable(),
  end_reason: z.string().nullable(),
  requirements: z.object({ cpus: z.int(), memory_mb: z.int(), labels }),
  node: z.object({ id: z.int(), hostname: z.string(), status: z.string() }).nullable(),
  access: access.nullable().meta({
    description:
      'null while no account is there. Where accounts admit the gateway alone (`ORION_GATEWAY_ONLY`), the login through the gateway',
  }),
  gateway: gateway
    .nullable()
    .meta({ description: 'The way that stays the same as long as the lease runs; null where there is no gateway' }),
  checkpoint: checkpoint.nullable().meta({ description: 'null when the home is not saved because checkpoints are off here' }),
  shared_storage: z.array(sharedStorage).nullable().meta({
    description:
      'File systems of the machine that other machines may share: what is written there is not wiped after the lease. null while it has no machine',
  }),
};

export const leaseAnswer = z.object(leaseFields).meta({ id: 'Lease' });

const leaseDetail = z
  .object({
    ...leaseFields,
    events: z.array(z.object({ at: time, type: z.string(), actor: z.string(), data: z.record(z.string(), z.unknown()) })),
    placements: z.array(
      z.object({
        generation: z.int(),
        node_id: z.int(),
        state: z.enum(['creating', 'present', 'wiping', 'wiped']),
        created_at: time,
        present_at: time.nullable(),
        wiped_at: time.nullable(),
        last_error: z.string().nullable(),
      }),
    ),
  })
  .meta({ id: 'LeaseDetail' });

const rentAnswer = z
  .object({ leases: z.array(leaseAnswer), password: z.string().nullable().meta({ description: 'Shown this once, when asked for' }) })
  .meta({ id: 'Rented' });

export type RentRequest = z.input<typeof rentBody>;
export type Lease = z.output<typeof leaseAnswer>;
export type LeaseState = Lease['state'];
export type LeaseDetail = z.output<typeof leaseDetail>;
export type Rented = z.output<typeof rentAnswer>;
export type Access = z.output<typeof access>;
export type Gateway = z.output<typeof gateway>;
export type Checkpoint = z.output<typeof checkpoint>;

export const rentNodes = endpoint({
  method: 'post',
  path: '/api/rent',
  summary: 'Lease nodes, all or nothing',
  access: 'user',
  audit: ['lease.requested'],
  fast: true,
  body: rentBody,
  problems: [403, 404, 422, 503],
  answers: {
    201: { description: 'The leases with their access', schema: rentAnswer },
    200: { description: 'A repetition of an earlier request', schema: rentAnswer },
    202: { description: 'Leased; accounts are still being made: look at the leases', schema: rentAnswer },
  },
});

export const extendLease = endpoint({
  method: 'post',
  path: '/api/extend',
  summary: 'Move the end of a lease',
  access: 'user',
  audit: ['lease.extended'],
  body: extendBody,
  problems: [404, 422, 503],
  answers: { 200: { description: 'Extended', schema: leaseAnswer } },
});

export const releaseLease = endpoint({
  method: 'post',
  path: '/api/release',
  summary: 'End a lease now',
  access: 'user',
  audit: ['lease.ending', 'lease.ended'],
  body: releaseBody,
  problems: [404],
  answers: { 200: { description: 'Its account is being removed', schema: leaseAnswer } },
});

export const listLeases = endpoint({
  method: 'get',
  path: '/api/leases',
  summary: 'Leases, newest first',
  access: 'user',
  audit: 'reads',
  query: leaseQuery,
  problems: [403],
  answers: { 200: { description: 'A page', schema: pageOf(leaseAnswer) } },
});

export const showLease = endpoint({
  method: 'get',
  path: '/api/leases/{id}',
  summary: 'A lease with its timeline',
  access: 'user',
  audit: 'reads',
  params: idParam,
  problems: [404],
  answers: { 200: { description: 'The lease', schema: leaseDetail } },
});
