import type { Id } from '../../db/sql';
/** Types of events: everything that happens to a lease, a node or a user and that people may want to read later; see docs/glossary.md. */
export type EventType =
  | 'lease.requested' | 'lease.active' | 'lease.migrating' | 'lease.waiting' | 'lease.moved' | 'lease.resumed' | 'lease.extended'
  | 'lease.ending' | 'lease.ended' | 'lease.failed'
  | 'lease.connected' | 'lease.disconnected'
  | 'uid.taken'
  | 'placement.present' | 'placement.refreshed' | 'placement.failed' | 'placement.wiped'
  | 'checkpoint.failed' | 'checkpoint.restored' | 'checkpoint.restore_failed' | 'checkpoint.removed'
  | 'node.registered' | 'node.changed' | 'node.clone_refused' | 'node.approved' | 'node.alive' | 'node.suspect' | 'node.dead' | 'node.quarantined' | 'node.retired'
  | 'node.drained' | 'node.undrained' | 'node.labelled' | 'node.limited' | 'node.expired' | 'node.clock_jumped' | 'node.short' | 'node.roomy' | 'node.leaving' | 'node.wiped' | 'node.wipe_failed' | 'node.withheld' | 'node.shared_storage'
  | 'fleet.brake_on' | 'fleet.brake_off' | 'fleet.judged_anew' | 'fleet.restored'
  | 'user.disabled' | 'user.enabled' | 'user.changed' | 'key.added' | 'key.removed'
  | 'service.scaled';

export interface NewEvent {
  type: EventType;
  /** The user or process that caused the event: `user:7`, `admin:1`, `node:3`, `scheduler`, `api`. */
  actor: string;
  leaseId?: Id | undefined;
  nodeId?: number | undefined;
  /** The user of the lease, or the user that the event is about. */
  userId?: number | undefined;
  data?: Record<string, unknown>;
}

export interface RecordedEvent {
  id: number;
  at: Date;
  type: EventType;
  actor: string;
  leaseId: number | null;
  nodeId: number | null;
  data: Record<string, unknown>;
}
