import { fromJson } from '../../../db/sql';
import type { Lease, LeaseRequirements, LeaseState } from '../types';

export interface LeaseRow {
  id: number;
  rent_id: number;
  user_id: number;
  state: LeaseState;
  generation: number;
  occupied_node_id: number | null;
  requirements: unknown;
  public_keys: unknown;
  password_hash: string | null;
  created_at: Date;
  ends_at: Date;
  remaining: string | number;
  migrating_seconds: string | number | null;
  waiting_since: Date | null;
  activated_at: Date | null;
  ended_at: Date | null;
  end_reason: string | null;
}

export const LEASE_COLUMNS = `id, rent_id, user_id, state, generation, occupied_node_id, requirements, public_keys, password_hash, created_at, ends_at,
  GREATEST(0, TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), ends_at) / 1000000) AS remaining,
  TIMESTAMPDIFF(MICROSECOND, migrating_since, UTC_TIMESTAMP(3)) / 1000000 AS migrating_seconds, waiting_since, activated_at, ended_at, end_reason`;

export function toLease(row: LeaseRow): Lease {
  return {
    id: row.id,
    rentId: row.rent_id,
    userId: row.user_id,
    state: row.state,
    generation: row.generation,
    occupiedNodeId: row.occupied_node_id,
    requirements: fromJson<LeaseRequirements>(row.requirements),
    publicKeys: fromJson<string[]>(row.public_keys),
    passwordHash: row.password_hash,
    createdAt: row.created_at,
    endsAt: row.ends_at,
    remainingSeconds: Number(row.remaining),
    migratingSeconds: row.migrating_seconds === null ? null : Number(row.migrating_seconds),
    waitingSince: row.waiting_since,
    activatedAt: row.activated_at,
    endedAt: row.ended_at,
    endReason: row.end_reason,
  };
}
