import { OrionError } from '../../lib/errors';
import { MAX_LABELS, NODE_PREFIX } from '../../lib/labels';
import type { Caps, Labels } from './types';

/** What the operator decided about a node: its labels, and how much of its processors and memory counts. */
export interface Decided extends Caps {
  labels: Labels;
}

/** What a node says of itself. Nothing of it can be verified. */
export interface Declared {
  labels: Labels;
  cpus: number;
  memoryMb: number;
}

/** What placement goes by. */
export interface Placeable {
  labels: Labels;
  cpus: number;
  memoryMb: number;
}

/**
 * The operator's decisions before what the node declares. The node's labels carry the prefix, so that none of them passes for the operator's. Each
 * registration declares anew: what the node declared before is gone.
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

/** A join token adds its labels and its caps to what was decided about the machine before. Throws state_conflict for too many labels. */
export function decidedWith(before: Decided, token: Decided): Decided {
  const labels = { ...before.labels, ...labelsOf(token.labels, 'operator') };
  checkOperatorLabels(before.labels, labels);
  return { labels, maxCpus: token.maxCpus ?? before.maxCpus, maxMemoryMb: token.maxMemoryMb ?? before.maxMemoryMb };
}

/** What operators decided about a node; undefined: it is new. */
export const decisionsOf = (node: (Caps & { operatorLabels: Labels }) | undefined): Decided =>
  node ? { labels: node.operatorLabels, maxCpus: node.maxCpus, maxMemoryMb: node.maxMemoryMb } : UNDECIDED;

/** Of a node's labels those that it declared, or those that it did not. */
export const labelsOf = (labels: Labels, whose: 'node' | 'operator'): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([name]) => name.startsWith(NODE_PREFIX) === (whose === 'node')));

/** `labels` with the operator's set replaced. */
export const withOperatorLabels = (labels: Labels, operator: Labels): Labels => ({ ...operator, ...labelsOf(labels, 'node') });

/** Throws state_conflict when an operator's set grows beyond the limit. A larger one of the release before may shrink. */
export function checkOperatorLabels(before: Labels, after: Labels): void {
  const count = Object.keys(after).length;
  if (count > MAX_LABELS && count > Object.keys(before).length) {
    throw new OrionError('state_conflict', `The node would have ${count} labels of operators, and ${MAX_LABELS} is the most. Take some off: \`orion node label <id> <name>-\`.`);
  }
}
