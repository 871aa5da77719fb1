import type { Labels, Requirements } from './types';
import type { UseBand } from './use';

/** A free node as placement sees it. */
export interface Candidate {
  id: number;
  cpus: number;
  memoryMb: number;
  labels: Labels;
  useBand: UseBand;
  /** It died within the last hour. */
  flappedLately: boolean;
}

/** One CPU weighs as much as this much memory when what is left over is added up: the common shape of machines. */
const MEMORY_MB_PER_CPU = 2048;

/** How big a node is in one number, as the column `nodes.fit` has it: of two that satisfy, the smaller fits tighter, whatever was asked for. */
export const fitOf = ({ cpus, memoryMb }: Pick<Candidate, 'cpus' | 'memoryMb'>): number => cpus * MEMORY_MB_PER_CPU + memoryMb;

export function satisfies(node: Pick<Candidate, 'cpus' | 'memoryMb' | 'labels'>, wanted: Requirements): boolean {
  return (
    node.cpus >= wanted.cpus &&
    node.memoryMb >= wanted.memoryMb &&
    Object.entries(wanted.labels).every(([name, value]) => node.labels[name] === value)
  );
}

/**
 * Ranks the nodes that satisfy `wanted`, best first: reliable ones before those that flapped lately, then the tightest fit (best-fit
 * bin packing), then the least used, ties spread at random so that concurrent rents do not all reach for the same machine. Pure but for `random`.
 */
export function rankCandidates(candidates: Candidate[], wanted: Requirements, random: () => number): Candidate[] {
  return candidates
    .filter((node) => satisfies(node, wanted))
    .map((node) => ({ node, fit: fitOf(node), tie: random() }))
    .sort((a, b) => Number(a.node.flappedLately) - Number(b.node.flappedLately) || a.fit - b.fit || a.node.useBand - b.node.useBand || a.tie - b.tie)
    .map(({ node }) => node);
}
