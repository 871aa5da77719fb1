import { fingerprintOf } from '../lib/host-key';
import { formatNotExamined } from './node-view';
import type { Output } from './output';
import { formatLabels, formatMemory, formatSeconds, formatTime, printable } from './text';
import type { Lease, LeaseState } from '../contract';

const RUNNING: readonly LeaseState[] = ['provisioning', 'active', 'migrating'];

export const isRunning = ({ state }: Lease): boolean => RUNNING.includes(state);

/** Whether the lease's account admits nothing but the gateway. The server then gives the gateway's address in `access` too. */
export const admitsGatewayAlone = ({ access, gateway }: Lease): boolean => access !== null && access.command === gateway?.command;

/** Describes the state of a lease in one line: `lease 7  active on worker-3  until 2026-05-04 10:20:30 UTC (2 h left)`. */
export function describeLease(lease: Lease): string {
  const where = lease.node ? ` on ${printable(lease.node.hostname)}` : '';
  const until = isRunning(lease)
    ? `until ${formatTime(lease.ends_at)} (${formatSeconds(lease.remaining_seconds)} left)`
    : (lease.end_reason ?? '');
  return `lease ${lease.id}  ${lease.state}${where}  ${printable(until)}`.trimEnd();
}

/** Prints the lease and how to log in to it, as lines of data. */
export function printLease(out: Output, lease: Lease): void {
  out.line(describeLease(lease));
  if (lease.gateway) {
    out.line(`  ${printable(lease.gateway.command)}`);
    out.line(`  host key ${fingerprintOf(lease.gateway.host_key)}`);
  }
  if (lease.access && !admitsGatewayAlone(lease)) {
    out.line(`  ${lease.gateway ? 'straight to the machine: ' : ''}${printable(lease.access.command)}`);
    out.line(`  host key ${printable(lease.access.host_key_fingerprint)}`);
  } else if (!lease.access && isRunning(lease)) {
    out.line(`  ${reasonForNoAccess(lease)}`);
  }
  if (isRunning(lease) && lease.shared_storage && lease.shared_storage.length > 0) {
    out.line(`  shared storage, which is not wiped after the lease: ${formatNotExamined(lease.shared_storage)}`);
  }
}

export function reasonForNoAccess(lease: Lease): string {
  const waiting = lease.waiting_since === null ? '' : `; it waits for a free machine since ${formatTime(lease.waiting_since)}`;
  return lease.state === 'migrating' ? `it is being moved to another machine${waiting}` : `its account is being made${waiting}`;
}

/** Returns `saved 3 min ago (12 MiB)`, or why the home is not saved. */
export function describeCheckpoint({ checkpoint }: Lease): string {
  if (!checkpoint?.enabled) {
    return checkpoint ? 'not saved, as was asked for' : 'not saved: checkpoints are off here';
  }
  const { age_seconds: age, bytes, error } = checkpoint;
  const saved = age === null ? 'not saved yet' : `saved ${formatSeconds(age)} ago (${formatMemory(Math.ceil(bytes / 2 ** 20))})`;
  return error === null ? saved : `${saved}; ${printable(error)}`;
}

function formatSaved({ checkpoint }: Lease): string {
  const age = checkpoint?.age_seconds ?? null;
  return age === null ? '-' : `${formatSeconds(age)} ago`;
}

export const LEASE_HEAD = ['LEASE', 'STATE', 'NODE', 'LEFT', 'ENDS', 'SAVED', 'ACCESS'];

export function leaseRow(lease: Lease): string[] {
  const access = lease.gateway ?? lease.access;
  return [
    String(lease.id),
    lease.state,
    printable(lease.node?.hostname ?? '-'),
    isRunning(lease) ? formatSeconds(lease.remaining_seconds) : '-',
    formatTime(lease.ends_at),
    formatSaved(lease),
    access ? printable(`${access.username}@${access.host}:${access.port}`) : '-',
  ];
}

/** Formats `2 cpus, 4 GiB, gpu=a100`, or `anything` without requirements. */
export function formatRequirements({ cpus, memory_mb, labels }: Lease['requirements']): string {
  const parts = [
    cpus ? `${cpus} cpus` : '',
    memory_mb ? formatMemory(memory_mb) : '',
    Object.keys(labels).length > 0 ? formatLabels(labels) : '',
  ];
  return parts.filter((part) => part !== '').join(', ') || 'anything';
}
