import type { Node, ReachableNode } from '../types';
import type { UseBand } from '../use';
import { type ReachableRow, toNotExamined, toReachableNode } from './row';

/** A node that this transaction has locked for a new lease: the fields that the lease needs, and the uid of the new placement there. */
export type ClaimedNode = ReachableNode & Pick<Node, 'cpus' | 'memoryMb' | 'notExamined'> & { nextUid: number; useBand: UseBand };

export interface ClaimedRow extends ReachableRow {
  cpus: number;
  memory_mb: number;
  next_uid: number;
  use_band: UseBand;
  not_examined: string | null;
}

/** The columns of `ClaimedRow`, and no more: reading whole nodes is a large part of the cost of a claim. */
export const CLAIMED_COLUMNS =
  'id, hostname, address, ssh_port, reach, host_key, status, cpus, memory_mb, next_uid, use_band, not_examined';

export const toClaimedNode = (row: ClaimedRow): ClaimedNode => ({
  ...toReachableNode(row),
  cpus: row.cpus,
  memoryMb: row.memory_mb,
  nextUid: row.next_uid,
  useBand: row.use_band,
  notExamined: toNotExamined(row.not_examined),
});
