import { z } from 'zod';
import { EVENT_OUTCOMES, EVENT_TYPES } from '../lib/event-types';
import { endpoint } from './endpoint';
import { filterId, filterUser, pageOf, pageQuery, sizeOf } from './paging';

const id = z.int().nullable();
const text = z.string().nullable();

const eventAnswer = z
  .object({
    id: z.int(),
    at: z.iso.datetime(),
    type: z.string().meta({ example: 'node.approved' }),
    outcome: z.enum(EVENT_OUTCOMES).nullable().meta({ description: 'null: recorded by a release that did not know it' }),
    actor: z.string().meta({
      description: '`user:7`, `admin:1`, `node:3`, a role of the control plane, `operator` (`orion admin`), `anonymous`',
    }),
    user_id: id.meta({ description: 'The subject: the user that it is about, or the owner of the lease' }),
    lease_id: id,
    node_id: id,
    address: text.meta({ description: 'Of the caller' }),
    request_id: text.meta({ description: 'The `X-Request-Id` of the call that caused it' }),
    token_id: text.meta({ description: 'Of the access token that the caller showed' }),
    data: z.record(z.string(), z.unknown()).meta({ description: 'What changed, from what to what' }),
  })
  .meta({ id: 'Event' });

const auditQuery = pageQuery.extend({
  type: z.enum(EVENT_TYPES).optional(),
  actor: z.string().max(64).optional(),
  user: filterUser.optional(),
  node: filterId.optional(),
  lease: filterId.optional(),
  from: z.iso.datetime().optional(),
  to: z.iso.datetime().optional().meta({ description: 'Exclusive' }),
});

export type Event = z.output<typeof eventAnswer>;

export const listEvents = endpoint({
  method: 'get',
  path: '/api/audit',
  summary: 'The audit log, newest first: who did what to whom, from where',
  access: 'admin',
  audit: 'reads',
  query: auditQuery,
  answers: { 200: { description: 'A page', schema: pageOf(eventAnswer) } },
});

const hash = z.string().meta({ description: 'base64' });

const headAnswer = z
  .object({
    size: z.int().meta({ description: 'Number of sealed entries' }),
    root: hash.meta({ description: 'Root of their tree (RFC 6962), base64' }),
    at: z.iso.datetime(),
    note: z.string().meta({ description: 'The same, signed: a checkpoint (C2SP)' }),
    key: z.string().meta({ description: 'The public key of the log, as programs for signed notes read it' }),
  })
  .meta({ id: 'AuditHead' });

const proofAnswer = z
  .object({
    head: headAnswer,
    from: z.int(),
    to: z.int(),
    before: z.array(hash).meta({ description: 'Roots of the complete subtrees before entry `from`' }),
    consistency: z.array(hash).meta({ description: 'That the tree of the first `to` entries is the beginning of the tree of the head' }),
  })
  .meta({ id: 'AuditProof' });

const entryAnswer = z
  .object({
    seq: z.int(),
    salt: hash,
    leaf: hash.meta({ description: 'SHA-256(0x00, salt, event), base64' }),
    event: z.string().nullable().meta({ description: 'The text that was sealed. null: the event was deleted' }),
  })
  .meta({ id: 'AuditEntry' });

export type AuditHead = z.output<typeof headAnswer>;
export type AuditEntry = z.output<typeof entryAnswer>;

export const showAuditHead = endpoint({
  method: 'get',
  path: '/api/audit/head',
  summary: 'The newest signed head of the audit log',
  access: 'admin',
  audit: 'reads',
  problems: [404],
  answers: { 200: { description: 'The head', schema: headAnswer } },
});

export const proveAuditRange = endpoint({
  method: 'get',
  path: '/api/audit/proof',
  summary: 'What proves that entries of the audit log belong to its head',
  access: 'admin',
  audit: 'reads',
  problems: [404],
  query: z.object({ from: sizeOf.optional(), to: sizeOf.optional().meta({ description: 'Exclusive. Default: the size of the head' }) }),
  answers: { 200: { description: 'The proof', schema: proofAnswer } },
});

export const listAuditEntries = endpoint({
  method: 'get',
  path: '/api/audit/entries',
  summary: 'The sealed audit log, oldest first; the cursor is the number of an entry',
  access: 'admin',
  audit: 'reads',
  query: pageQuery,
  answers: { 200: { description: 'A page', schema: pageOf(entryAnswer) } },
});
