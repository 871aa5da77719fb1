import { formatLabels, formatMemory, printable } from './text';
import type { Node } from './wire';

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

/** Of the host key that the node shows now: what `orion node approve --fingerprint` has to name. Admins alone see it. */
export const fingerprintToCheck = (node: Node): string | undefined => node.offered_host_key_fingerprint ?? node.host_key_fingerprint;

/** `alive, drained, dirty`; the flags are shown to admins only. */
export function describeStatus(node: Node): string {
  const flags = [node.drained && 'drained', node.leaving && 'leaving', node.dirty && 'dirty', node.unfit && 'unfit'].filter((flag) => typeof flag === 'string');
  return [node.status, ...flags].join(', ');
}

/** One line on a node: `node 3  worker-3  quarantined, dirty: the host key changed`. */
export function describeNode(node: Node): string {
  const failing = node.unfit ? node.checks?.find(({ result }) => result === 'fail')?.cause : undefined;
  const why = node.status_reason ?? failing;
  const reason = why ? `: ${printable(why)}` : '';
  const lease = node.lease_id === null ? '' : `  lease ${node.lease_id}`;
  return `node ${node.id}  ${printable(node.hostname)}  ${describeStatus(node)}${reason}${lease}`;
}
