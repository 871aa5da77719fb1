import type { Node, ReachableNode } from '../types';

/** A node that this transaction holds: what its new lease needs of it, with the uid that the new placement gets there. */
export type ClaimedNode = ReachableNode & Pick<Node, 'cpus' | 'memoryMb'> & { nextUid: number };

export interface ClaimedRow {
  id: number;
  hostname: string;
  address: string;
  ssh_port: number;
  reach: Node['reach'];
  host_key: string;
  status: Node['status'];
  cpus: number;
  memory_mb: number;
  next_uid: number;
}

/** No more than that: reading whole nodes is a good part of the cost of a claim. */
export const CLAIMED_COLUMNS = 'id, hostname, address, ssh_port, reach, host_key, status, cpus, memory_mb, next_uid';

export const toClaimedNode = (row: ClaimedRow): ClaimedNode => ({
  id: row.id,
  hostname: row.hostname,
  address: row.address,
  sshPort: row.ssh_port,
  reach: row.reach,
  hostKey: row.host_key,
  status: row.status,
  cpus: row.cpus,
  memoryMb: row.memory_mb,
  nextUid: row.next_uid,
});
