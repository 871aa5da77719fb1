import { OrionError } from '../../lib/errors';
import { MAX_LABELS, NODE_PREFIX } from '../../lib/labels';
import type { Caps, Labels } from './types';

/** Decisions of operators about a node: its labels, and how much of its CPUs and memory counts. */
export interface Decided extends Caps {
  labels: Labels;
}

/** Values that a node declares about itself. The control plane cannot verify them. */
export interface Declared {
  labels: Labels;
  cpus: number;
  memoryMb: number;
}

/** Values by which a node is chosen for a lease. */
export interface Placeable {
  labels: Labels;
  cpus: number;
  memoryMb: number;
}

/**
 * Combines the operators' decisions with the values that the node declares. Caps limit the declared values. The node's labels get a prefix,
 * so that none of them passes for an operator's label. Each registration replaces what the node declared before.
 */
export function placeableOf(decided: Decided, declared: Declared): Placeable {
  const own = Object.entries(declared.labels).map(([name, value]) => [NODE_PREFIX + name, value] as const);
  return {
    labels: { ...decided.labels, ...Object.fromEntries(own) },
    cpus: Math.min(declared.cpus, decided.maxCpus ?? Infinity),
    memoryMb: Math.min(declared.memoryMb, decided.maxMemoryMb ?? Infinity),
  };
}

export const UNDECIDED: Decided = { labels: {}, maxCpus: null, maxMemoryMb: null };

/**
 * Adds the labels of a join token to the earlier decisions about the machine. A cap of the token replaces the earlier cap. Throws
 * state_conflict for too many labels.
 */
export function decidedWith(before: Decided, token: Decided): Decided {
  const labels = { ...before.labels, ...labelsOf(token.labels, 'operator') };
  checkOperatorLabels(before.labels, labels);
  return { labels, maxCpus: token.maxCpus ?? before.maxCpus, maxMemoryMb: token.maxMemoryMb ?? before.maxMemoryMb };
}

/** Returns the operators' decisions about a node. An undefined `node` is a new one, about which nothing was decided. */
export const decisionsOf = (node: (Caps & { operatorLabels: Labels }) | undefined): Decided =>
  node ? { labels: node.operatorLabels, maxCpus: node.maxCpus, maxMemoryMb: node.maxMemoryMb } : UNDECIDED;

/** Filters the labels of a node: the ones that the node declared, or the ones that operators set. */
export const labelsOf = (labels: Labels, whose: 'node' | 'operator'): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([name]) => name.startsWith(NODE_PREFIX) === (whose === 'node')));

/** Replaces the operators' labels in `labels`. The labels that the node declared stay. */
export const withOperatorLabels = (labels: Labels, operator: Labels): Labels => ({ ...operator, ...labelsOf(labels, 'node') });

/** Throws state_conflict when the operators' labels grow beyond `MAX_LABELS`. A larger set from the previous release may shrink. */
export function checkOperatorLabels(before: Labels, after: Labels): void {
  const count = Object.keys(after).length;
  if (count > MAX_LABELS && count > Object.keys(before).length) {
    throw new OrionError(
      'state_conflict',
      `The node would have ${count} labels of operators, and ${MAX_LABELS} is the most. Take some off: \`orion node label <id> <name>-\`.`,
    );
  }
}
