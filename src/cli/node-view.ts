import { formatLabels, formatMemory, printable } from './text';
import type { Node, SharedStorage } from '../contract';

export const NODE_HEAD = ['NODE', 'HOSTNAME', 'STATUS', 'CPUS', 'MEMORY', 'FREE', 'LEASE', 'LABELS', 'HOST KEY'];

export function nodeRow(node: Node): string[] {
  return [
    String(node.id),
    printable(node.hostname),
    describeStatus(node),
    String(node.cpus),
    formatMemory(node.memory_mb),
    node.free ? 'yes' : 'no',
    node.lease_id === null ? '-' : String(node.lease_id),
    formatLabels(node.labels),
    printable(fingerprintToCheck(node) ?? '-'),
  ];
}

/** Fingerprint of the host key that the node shows now, which `orion node approve --fingerprint` must name. Only admins see it. */
export const fingerprintToCheck = (node: Node): string | undefined => node.offered_host_key_fingerprint ?? node.host_key_fingerprint;

/** Text of each band of use in a table. `idle` and `busy` are not shown. */
const USE = { idle: '', busy: '', very_busy: 'very busy', short: 'short of disk or memory' };

/** Returns the status with its flags, such as `alive, drained, dirty`. The server sends the flags to admins only. */
function describeStatus(node: Node): string {
  const flags = [
    node.drained && 'drained',
    node.leaving && 'leaving',
    node.dirty && 'dirty',
    node.withheld_reason && 'withheld',
    node.use && USE[node.use],
    node.predecessor_id && `at the address of node ${node.predecessor_id}`,
    node.successor_id && `its address is node ${node.successor_id}'s`,
  ].filter((flag) => typeof flag === 'string' && flag !== '');
  return [node.status, ...flags].join(', ');
}

/** Describes a node in one line: `node 3  worker-3  quarantined, dirty: the host key changed`. */
export function describeNode(node: Node): string {
  const why = node.status_reason ?? node.withheld_reason;
  const reason = why ? `: ${printable(why)}` : '';
  const lease = node.lease_id === null ? '' : `  lease ${node.lease_id}`;
  return `node ${node.id}  ${printable(node.hostname)}  ${describeStatus(node)}${reason}${lease}`;
}

/** Formats storage that no wipe examined, such as `/scratch (nfs4)`. Empty when there is none. */
export const formatNotExamined = (all: readonly SharedStorage[] = []): string =>
  all.map(({ path, type }) => `${printable(path)} (${printable(type)})`).join(', ');

export function describeSharedStorage({ shared_storage: policy, not_examined: notExamined = [] }: Node): string {
  const found = notExamined.length > 0 ? `not examined: ${formatNotExamined(notExamined)}` : 'no shared storage was found at its last wipe';
  return policy === 'refuse'
    ? `It is not leased while it has shared storage; ${found}.`
    : `Shared storage does not keep it from being leased; ${found}.`;
}

/** Returns lines for admins: storage that was not examined, the policy for shared storage, the range of uids and refused uids. */
export function describeUse(node: Node): string[] {
  const { not_examined: notExamined = [], uid_range: range, uid_refusal: refusal, shared_storage: policy } = node;
  return [
    notExamined.length > 0 ? `not examined: ${formatNotExamined(notExamined)}` : '',
    policy === 'refuse' ? 'shared storage: refuse' : '',
    range ? `uids: ${printable(range)}` : '',
    refusal ? `refused uids: ${printable(refusal)}` : '',
  ].filter((line) => line !== '');
}
