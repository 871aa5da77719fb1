import { z } from 'zod';
import { HOST_NAME, HOST_NAME_RULE } from '../lib/host-name';
import { parseUidRange, UID_RANGE_RULE, type UidRange } from '../lib/uid-range';
import { endpoint } from './endpoint';
import { labels } from './labels';
import { sizeOf } from './paging';
import { MAX_CPUS, MAX_MEMORY_MB } from './resources';

const port = z.int().min(1).max(65535);
const megabytes = z.number().min(0).max(1e12).transform(Math.round);
const text = z.string().max(200);

const hostKey = z.string().max(2000).meta({ description: 'Public host key: `type base64`', example: 'ssh-ed25519 AAAA…' });

const facts = z
  .object({
    cpus: z.int().min(1).max(MAX_CPUS),
    memory_mb: megabytes.pipe(z.number().max(MAX_MEMORY_MB)),
    disk_mb: megabytes,
    os: text,
    arch: text,
    kernel: text,
    gpu: text,
    agent_version: text,
  })
  .partial()
  .meta({ id: 'Facts' });

/** An IPv6 address, with a zone or without. */
const isIPv6 = (text: string): boolean => z.ipv6().safeParse(text.replace(/(?<=[\da-f:])%[\w.-]{1,32}$/i, '')).success;

const mark = z
  .string()
  .regex(/^[\w-]{22,64}$/)
  .optional()
  .meta({
    description:
      'Random, and in a file on the machine meanwhile: the control plane looks for it at the address of the node that the machine claims to be',
  });
const described = {
  hostname: z.string().regex(HOST_NAME, `must be a host name: ${HOST_NAME_RULE}. Set MY_HOSTNAME on the machine`),
  ssh_port: port.default(22),
  address: z
    .union([z.string().regex(HOST_NAME), z.string().refine(isIPv6, 'use an IPv6 address')])
    .optional()
    .meta({ description: 'Where the control plane dials the node. Default: where the request came from.' }),
  labels: labels.default({}).meta({ description: 'They become the labels node/<name>, in place of those before' }),
  facts: facts.default({}),
  mark,
};

/**
 * The self-report in a heartbeat. The heartbeat's schema does not contain it, so that a machine whose new name is not valid can still send
 * heartbeats.
 */
export const selfReport = z.object(described);
export type SelfReported = z.output<typeof selfReport>;

export const registerBody = z
  .object({
    ...described,
    host_key: hostKey,
    join_token: z.string().max(200).optional().meta({ deprecated: true, description: 'Of agents of the release before; not looked at' }),
    challenge: z.string().max(200).optional(),
    agent_key: z
      .string()
      .max(100)
      .optional()
      .meta({ description: "Public key of X25519, base64url: the machine's half of the agreement on its credential" }),
    uid_range: z
      .string()
      .transform(parseUidRange)
      .pipe(z.custom<UidRange>((range) => range !== undefined, UID_RANGE_RULE))
      .optional()
      .meta({ description: "Uids that the machine must use, `first-last`. Default: the fleet's", example: '70000-79999' }),
  })
  .meta({ id: 'Register' });

const signedText = { text: z.string(), signature: z.string().meta({ description: 'Ed25519, base64url' }) };

const management = z.object({
  username: z.string(),
  public_keys: z.array(z.string()),
  control_key: z.string().meta({ description: '`ssh-ed25519 base64`; agents know its fingerprint' }),
  statement: z
    .object(signedText)
    .meta({ description: 'The same two, and a `serial`, signed by the control key: agents install what it says' }),
  successors: z
    .array(z.object({ ...signedText, by: z.string() }))
    .meta({ description: 'By which control keys of before name the present one' }),
});

const challengeAnswer = z.object({ challenge: z.string().meta({ description: 'Good for 60 s, once' }) }).meta({ id: 'Challenge' });

const contactLimit = z.number().meta({
  description: 'After so long without an answer that lists them, a node holds its accounts: no login, processes frozen. 0: never',
});

const registerAnswer = z
  .object({
    node_id: z.int(),
    status: z.string(),
    server_key: z.string().optional().meta({ description: 'The other half of the agreement, when a credential was agreed on' }),
    signature: z.string().optional().meta({ description: 'By the control key, over both halves and the challenge' }),
    management,
    heartbeat_interval_seconds: z.number(),
    contact_limit_seconds: contactLimit,
  })
  .meta({ id: 'Registered' });

export const heartbeatBody = z
  .object({
    load1: z.number().min(0).max(1e6),
    memory_free_mb: megabytes,
    disk_free_mb: megabytes,
    accounts: z.array(z.string().max(64)).max(1000),
    ended_accounts: z
      .array(z.string().max(64))
      .max(1000)
      .meta({ description: 'Those of them that the node ended by itself: their lease was over and the control plane out of reach' }),
    key_expiries: z
      .array(z.object({ username: z.string().max(64), ends_in_seconds: z.number().min(-1e10).max(1e10) }))
      .max(1000)
      .meta({
        description:
          'Accounts that take no keys any more at another time than their lease ends, because the clock of the node was set: in how many seconds by that clock',
      }),
    ssh_port: port,
    host_key: hostKey,
    self: z.record(z.string(), z.unknown()).meta({
      description:
        'Members of a registration that may change (hostname, ssh_port, address, labels, facts, mark), all of them, when one did',
    }),
    statement: z
      .string()
      .max(64)
      .meta({ description: 'SHA-256 (hex) of the management statement that the machine has: a statement that it has is not sent again' }),
    audit_head: z
      .object({ size: z.int().min(0), root: z.string().max(64) })
      .meta({ description: 'The head of the audit log that the machine keeps. The answer has the newest one, unless it is the same' }),
    audit_dispute: z.string().min(1).max(500).meta({ description: 'Why the machine did not keep the last head that it received' }),
    interval_seconds: z.number().min(0).max(86_400).meta({
      description:
        'The interval that the agent keeps to. Who sends it calls at once when an account comes onto the machine, and may so be told a longer one',
    }),
  })
  .partial()
  .meta({ id: 'Heartbeat' });

const heartbeatAnswer = z
  .object({
    status: z.string(),
    heartbeat_interval_seconds: z.number(),
    contact_limit_seconds: contactLimit,
    management: management.optional().meta({ description: 'Left out when `statement` names the present one' }),
    self_accepted: z.boolean().optional().meta({
      description:
        'Whether `self` counts now. False: it is not valid, the machine does not answer at its new address, or it changed too often',
    }),
    audit_head: z
      .object({ note: z.string(), key: z.string() })
      .optional()
      .meta({ description: 'The newest head of the audit log (a signed note), and its public key' }),
    accounts: z.array(z.object({ username: z.string(), remaining_seconds: z.number() })),
  })
  .meta({ id: 'HeartbeatAnswer' });

const leaveAnswer = z.object({ left: z.boolean(), status: z.string(), detail: z.string() }).meta({ id: 'Leaving' });

/** The requests of agents. */
export type RegisterRequest = z.input<typeof registerBody>;
export type HeartbeatRequest = z.input<typeof heartbeatBody>;
export type HeartbeatAnswer = z.output<typeof heartbeatAnswer>;
export type RegisterAnswer = z.output<typeof registerAnswer>;

export const challengeMachine = endpoint({
  method: 'post',
  path: '/api/workers/challenge',
  summary: 'What an agent answers in its next call: so that none is any good a second time',
  access: 'public',
  audit: 'reads',
  answers: { 200: { description: 'A challenge', schema: challengeAnswer } },
});

export const registerMachine = endpoint({
  method: 'post',
  path: '/api/workers/register',
  summary: 'A machine announces itself',
  access: 'machine',
  audit: ['node.registered', 'node.quarantined', 'node.clone_refused'],
  body: registerBody,
  problems: [401, 409, 410, 429],
  answers: {
    200: { description: 'Known, updated', schema: registerAnswer },
    201: { description: 'Enrolled', schema: registerAnswer },
    202: { description: 'Waits for an operator', schema: registerAnswer },
  },
});

/** The same call under a shorter path. */
export const register = endpoint({ ...registerMachine, path: '/api/register' });

export const heartbeat = endpoint({
  method: 'post',
  path: '/api/workers/heartbeat',
  summary: 'An agent calls home',
  access: 'node',
  audit: ['node.changed', 'node.quarantined', 'node.clock_jumped', 'node.short', 'node.roomy', 'audit.disputed'],
  fast: true,
  body: heartbeatBody,
  problems: [410, 503],
  answers: { 200: { description: 'What the agent should know', schema: heartbeatAnswer } },
});

export const leaveFleet = endpoint({
  method: 'post',
  path: '/api/workers/leave',
  summary: 'A machine asks to go; repeated until `left`',
  access: 'node',
  audit: ['node.leaving', 'node.retired'],
  problems: [409, 410],
  answers: { 200: { description: 'How far it is', schema: leaveAnswer } },
});

const consistencyAnswer = z.object({ proof: z.array(z.string().meta({ description: 'base64' })) }).meta({ id: 'AuditConsistency' });

export const proveAuditLog = endpoint({
  method: 'get',
  path: '/api/workers/audit/consistency',
  summary: 'The proof that one head of the audit log continues another',
  access: 'node',
  audit: 'reads',
  query: z.object({ from: sizeOf, to: sizeOf }),
  problems: [410],
  answers: { 200: { description: 'The proof (RFC 6962)', schema: consistencyAnswer } },
});
