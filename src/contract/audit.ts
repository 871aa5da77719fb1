import { z } from 'zod';
import { EVENT_OUTCOMES, EVENT_TYPES } from '../lib/event-types';
import { endpoint } from './endpoint';
import { filterId, filterUser, pageOf, pageQuery } from './paging';

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
  method: 'get', path: '/api/audit', summary: 'The audit log, newest first: who did what to whom, from where',
  access: 'admin', audit: 'reads', query: auditQuery,
  answers: { 200: { description: 'A page', schema: pageOf(eventAnswer) } },
});
