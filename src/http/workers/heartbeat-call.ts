import type { BodyOf } from '../../contract';
import type * as calls from '../../contract/workers';
import type { HeartbeatAnswer, Reported } from '../../flows/heartbeats/record-heartbeat';
import { OrionError } from '../../lib/errors';
import { verifierKeyOf } from '../../lib/tree/note';
import { parseSshPublicKey } from '../../modules/accounts';
import type { StoredHead } from '../../modules/audit';
import type { ApiSettings } from '../deps';

/** Converts the body of a heartbeat. Throws invalid_request when `host_key` is no host key. */
export function toHeartbeat(body: BodyOf<typeof calls.heartbeat>): Reported {
  const { load1, memory_free_mb, disk_free_mb, host_key: hostKey, interval_seconds: keptSeconds, key_expiries: expiries = [] } = body;
  return {
    vitals: { load1, memory_free_mb, disk_free_mb },
    keptSeconds,
    endsIn: new Map(expiries.map(({ username, ends_in_seconds: seconds }) => [username, seconds])),
    hostKey: hostKey === undefined ? null : parseHostKey(hostKey),
  };
}

/** Returns `type base64` of a public key line. Throws invalid_request. */
export function parseHostKey(line: string): string {
  try {
    return parseSshPublicKey(line).line;
  } catch (error) {
    throw error instanceof OrionError ? new OrionError('invalid_request', `host_key: ${error.message}`) : error;
  }
}

/** Members that every answer to an agent has. */
export type Usual = Pick<calls.RegisterAnswer, 'management' | 'heartbeat_interval_seconds' | 'contact_limit_seconds'>;

export function presentUsual({ management, heartbeatIntervalSeconds, contactLimitSeconds }: ApiSettings): Usual {
  const { username, publicKeys, controlKey, statement, successors } = management;
  return {
    management: { username, public_keys: publicKeys, control_key: controlKey, statement, successors },
    heartbeat_interval_seconds: heartbeatIntervalSeconds,
    contact_limit_seconds: contactLimitSeconds,
  };
}

export function presentHeartbeat(
  { status, accounts, intervalSeconds, selfAccepted }: HeartbeatAnswer,
  usual: Omit<Usual, 'management'> & Partial<Usual>,
): calls.HeartbeatAnswer {
  return {
    status,
    ...usual,
    heartbeat_interval_seconds: intervalSeconds,
    ...(selfAccepted === undefined ? {} : { self_accepted: selfAccepted }),
    accounts: accounts.map(({ username, remainingSeconds }) => ({ username, remaining_seconds: remainingSeconds })),
  };
}

/** The newest head of the audit log for an agent, unless the agent keeps it already. */
export const presentNews = (
  kept: { size: number; root: string } | undefined,
  head: StoredHead | undefined,
): Pick<calls.HeartbeatAnswer, 'audit_head'> =>
  !kept || !head || (kept.size === head.size && kept.root === head.root.toString('base64'))
    ? {}
    : { audit_head: { note: head.note, key: verifierKeyOf(head.publicKey) } };
