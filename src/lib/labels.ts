/** Prefix of labels that a node declares, in requirements and wherever labels are shown. */
export const NODE_PREFIX = 'node/';

/** Labels in one set at most. */
export const MAX_LABELS = 32;
