/**
 * The closed set of errors to which a caller outside can react. `PROBLEMS` in src/contract/problem.ts gives each code its status; a code
 * without one does not compile.
 */
export type ErrorCode =
  | 'invalid_request'
  | 'unauthenticated'
  | 'bad_credentials'
  | 'forbidden'
  | 'password_change_required'
  | 'not_found'
  | 'username_taken'
  | 'key_taken'
  | 'node_known'
  | 'host_key_changed'
  | 'host_key_in_use'
  | 'node_retired'
  | 'state_conflict'
  | 'idempotency_key_reused'
  | 'quota_exceeded'
  | 'duration_too_long'
  | 'lease_over'
  | 'step_refused'
  | 'public_key_missing'
  | 'body_too_large'
  | 'unsupported_media_type'
  | 'too_many_requests'
  | 'no_node_free'
  | 'provisioning_failed'
  | 'unavailable'
  | 'internal';

export interface ErrorExtras {
  /** Seconds after which a retry makes sense. */
  retryAfterSeconds?: number;
  /** Further members of the problem document; snake_case, never a secret. */
  details?: Record<string, unknown>;
  cause?: unknown;
  /** The error is in the log already, once for many requests that failed together. */
  isLogged?: boolean;
}

/** An error with a code to which callers can react, and a message that names the next step. Any other thrown error is a bug. */
export class OrionError extends Error {
  override name = 'OrionError';
  readonly retryAfterSeconds: number | undefined;
  readonly details: Record<string, unknown>;
  readonly isLogged: boolean;

  constructor(
    readonly code: ErrorCode,
    message: string,
    extras: ErrorExtras = {},
  ) {
    super(message, { cause: extras.cause });
    this.retryAfterSeconds = extras.retryAfterSeconds;
    this.details = extras.details ?? {};
    this.isLogged = extras.isLogged ?? false;
  }
}

/** Returns the message of any thrown value, for a log field or a stored `last_error`. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
