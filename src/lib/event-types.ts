/**
 * Types of events: everything that happens to a lease, a node or a user and that somebody may want to read later. A type that was ever
 * recorded stays in the list, because the audit log keeps it.
 */
export const EVENT_TYPES = [
  'lease.requested',
  'lease.active',
  'lease.migrating',
  'lease.waiting',
  'lease.moved',
  'lease.resumed',
  'lease.extended',
  'lease.ending',
  'lease.ended',
  'lease.failed',
  'lease.connected',
  'lease.disconnected',
  'uid.taken',
  'placement.present',
  'placement.refreshed',
  'placement.failed',
  'placement.wiped',
  'checkpoint.failed',
  'checkpoint.restored',
  'checkpoint.restore_failed',
  'checkpoint.removed',
  'node.registered',
  'node.changed',
  'node.clone_refused',
  'node.approved',
  'node.alive',
  'node.suspect',
  'node.dead',
  'node.quarantined',
  'node.retired',
  'node.drained',
  'node.undrained',
  'node.labelled',
  'node.limited',
  'node.expired',
  'node.clock_jumped',
  'node.short',
  'node.roomy',
  'node.leaving',
  'node.wiped',
  'node.wipe_failed',
  'node.withheld',
  'node.shared_storage',
  'fleet.brake_on',
  'fleet.brake_off',
  'fleet.judged_anew',
  'fleet.restored',
  'user.created',
  'user.login',
  'user.login_failed',
  'user.logout',
  'user.disabled',
  'user.enabled',
  'user.changed',
  'user.deleted',
  'user.password_changed',
  'user.code_issued',
  'session.ended',
  'key.added',
  'key.removed',
  'token.issued',
  'token.revoked',
  'token.used_up',
  'access.refused',
  'service.scaled',
  'audit.disputed',
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

/** How an act ended: it was done, Orion refused it, or it failed. */
export const EVENT_OUTCOMES = ['done', 'refused', 'failed'] as const;

export type EventOutcome = (typeof EVENT_OUTCOMES)[number];

/** Why a lease leaves its node (`cause` of `lease.migrating`). `planned`: an operator or the machine's owner ordered it. */
export const MOVE_CAUSES = ['death', 'quarantine', 'planned'] as const;

export type MoveCause = (typeof MOVE_CAUSES)[number];
