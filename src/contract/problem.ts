import { z } from 'zod';
import type { ErrorCode } from '../lib/errors';

/** HTTP status and title of each error code. A code without a status does not compile. */
export const PROBLEMS: Record<ErrorCode, { status: number; title: string }> = {
  invalid_request: { status: 400, title: 'The request is not valid' },
  unauthenticated: { status: 401, title: 'Authentication is needed' },
  bad_credentials: { status: 401, title: 'The credentials are wrong' },
  forbidden: { status: 403, title: 'That is not allowed' },
  password_change_required: { status: 403, title: 'The password must be changed first' },
  not_found: { status: 404, title: 'There is no such thing' },
  username_taken: { status: 409, title: 'The username is taken' },
  key_taken: { status: 409, title: 'The key is there already' },
  node_known: { status: 409, title: 'The machine is enrolled already' },
  host_key_changed: { status: 409, title: 'The host key changed' },
  host_key_in_use: { status: 409, title: 'The machine is a copy of another' },
  state_conflict: { status: 409, title: 'The state does not allow it' },
  node_retired: { status: 410, title: 'The node is retired' },
  body_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The body must be JSON' },
  idempotency_key_reused: { status: 422, title: 'The Idempotency-Key was used for something else' },
  quota_exceeded: { status: 422, title: 'The quota is used up' },
  duration_too_long: { status: 422, title: 'The duration is too long' },
  lease_over: { status: 422, title: 'The lease is over' },
  step_refused: { status: 422, title: 'The step is not allowed' },
  public_key_missing: { status: 422, title: 'There is no key to log in with' },
  too_many_requests: { status: 429, title: 'Too many requests' },
  internal: { status: 500, title: 'Something went wrong here' },
  no_node_free: { status: 503, title: 'No node is free' },
  provisioning_failed: { status: 503, title: 'No account could be made' },
  unavailable: { status: 503, title: 'The service is not available now' },
};

/** An unsuccessful answer, as application/problem+json (RFC 9457). */
export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    detail: z.string(),
    request_id: z.string(),
    errors: z
      .array(z.object({ in: z.string(), field: z.string(), message: z.string() }))
      .optional()
      .meta({ description: 'Of invalid_request: what is wrong with which member' }),
    next_lease_ends_at: z.iso
      .datetime()
      .nullable()
      .optional()
      .meta({ description: 'Of no_node_free: when a fitting node may become free; null: not known' }),
    could_be_satisfied: z.boolean().optional().meta({ description: 'Of no_node_free: whether any node would fit if it were free' }),
    max_lease_hours: z.number().optional().meta({ description: 'Of duration_too_long: the longest that the account may have' }),
    max_leases: z.int().optional().meta({ description: 'Of quota_exceeded: how many leases the account may have at a time' }),
    running: z.int().optional().meta({ description: 'Of quota_exceeded: how many it has' }),
    host_key_fingerprint: z.string().optional().meta({ description: 'Of host_key_changed: of the key that the machine shows now' }),
    offered_host_key_fingerprint: z.string().optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457. `code` is stable; `detail` says what to do next.' });

export type Problem = z.output<typeof problem>;
