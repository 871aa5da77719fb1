/** Begins the names of the labels that a node declares, in requirements and wherever labels are shown. */
export const NODE_PREFIX = 'node/';

/** In one set. */
export const MAX_LABELS = 32;
