import type { Id } from '../../db/sql';
import type { EventOutcome, EventType } from '../../lib/event-types';
import type { Origin } from '../../lib/origin';

/** The actor of `orion admin`: a person with the database password. */
export const OPERATOR = 'operator';
/** The actor of a call that shows no valid token or credential. */
export const ANONYMOUS = 'anonymous';

export interface NewEvent {
  type: EventType;
  /** The user or process that caused the event: `user:7`, `admin:1`, `node:3`, `operator`, `anonymous`, `scheduler`, `api`. */
  actor: string;
  leaseId?: Id | undefined;
  nodeId?: number | undefined;
  /** The subject: the user that the event is about. Default: the owner of the lease. */
  userId?: number | undefined;
  data?: Record<string, unknown>;
  /** Default: the call that the recording code is a part of. */
  origin?: Origin | null | undefined;
}

export interface RecordedEvent {
  id: number;
  at: Date;
  type: EventType;
  actor: string;
  /** Null: recorded by a release that did not know it. */
  outcome: EventOutcome | null;
  leaseId: number | null;
  nodeId: number | null;
  userId: number | null;
  address: string | null;
  requestId: string | null;
  tokenId: string | null;
  data: Record<string, unknown>;
}

/** Which events a page of the audit log contains. Undefined: any. */
export interface EventFilter {
  type?: EventType | undefined;
  actor?: string | undefined;
  userId?: number | undefined;
  nodeId?: number | undefined;
  leaseId?: number | undefined;
  from?: Date | undefined;
  /** Exclusive. */
  to?: Date | undefined;
  /** The page contains events with lower ids. */
  beforeId?: number | undefined;
  limit: number;
}
