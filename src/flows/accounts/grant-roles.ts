import type { Knex } from 'knex';
import { grantAll, type Grants } from '../../db/grant';

const INSERT = ['INSERT'] as const;
const UPDATE = ['UPDATE'] as const;
const DELETE = ['DELETE'] as const;
const CHANGE = ['INSERT', 'UPDATE'] as const;
const ALL = ['INSERT', 'UPDATE', 'DELETE'] as const;

/** Tables that only the API needs: people, and how people and machines authenticate. */
const OF_PEOPLE = ['users', 'sessions', 'join_tokens', 'revoked_tokens', 'rate_limits'];
/** Columns that decide, together with the user's keys, whether a person may log in to a lease. Access is computed anew each time. */
const MAY_ENTER = { users: ['id', 'disabled_at'] };

/**
 * Rights of the database user of each role. None of them may change the schema, grant rights, read files, or change an event. Only the
 * scheduler may delete events and leases, when they are older than the kept history, and events only when they are sealed.
 * Every table that a role writes must be listed here: `test/e2e/database-users.test.ts` runs the life of a lease with these users.
 */
export const ROLE_GRANTS: Readonly<Record<string, Grants>> = {
  orion_api: {
    hidden: [],
    writes: {
      users: CHANGE,
      user_keys: ['INSERT', 'DELETE'],
      revoked_tokens: ['INSERT', 'DELETE'],
      sessions: ALL,
      rate_limits: ALL,
      join_tokens: CHANGE,
      nodes: ALL,
      uid_blocks: INSERT,
      heartbeats: ALL,
      management_statement: CHANGE,
      pending_gate: UPDATE,
      rents: INSERT,
      leases: CHANGE,
      placements: CHANGE,
      extensions: INSERT,
      checkpoints: CHANGE,
      control_plane: UPDATE,
      tunnel_holders: ALL,
      tunnels: ALL,
      events: INSERT,
    },
  },
  orion_scheduler: {
    hidden: OF_PEOPLE,
    partly: MAY_ENTER,
    writes: {
      nodes: ['UPDATE', 'DELETE'],
      uid_blocks: INSERT,
      heartbeats: ALL,
      tunnels: DELETE,
      rents: DELETE,
      leases: ['UPDATE', 'DELETE'],
      placements: ALL,
      extensions: DELETE,
      checkpoints: ALL,
      control_plane: UPDATE,
      probe_owners: ALL,
      probe_shards: UPDATE,
      job_reports: ALL,
      leaders: UPDATE,
      events: ['INSERT', 'DELETE'],
      audit_entries: INSERT,
      audit_heads: ['INSERT', 'DELETE'],
    },
  },
  orion_gateway: { hidden: OF_PEOPLE, partly: MAY_ENTER, writes: { nodes: UPDATE, events: INSERT } },
  orion_autoscaler: {
    hidden: [...OF_PEOPLE, 'user_keys', 'tunnel_holders'],
    writes: { leaders: CHANGE, job_reports: ALL, events: INSERT },
  },
};

/** Grants the database user of each role its rights on the tables that exist now. */
export const grantRoles = (db: Knex): Promise<void> => grantAll(db, ROLE_GRANTS);
