import { z } from 'zod';
import { MAX_LABELS, NODE_PREFIX } from '../lib/labels';

/** The prefix of labels that nodes declare does not count towards the length. */
const LABEL_NAME = /^(?:node\/)?[a-zA-Z0-9][a-zA-Z0-9._/-]{0,62}$/;
const labelName = z.string().regex(LABEL_NAME, 'use 1 to 63 letters, digits, dots, dashes, slashes');
const labelValue = z.string().regex(/^[a-zA-Z0-9._/-]{0,63}$/, 'use up to 63 letters, digits, dots, dashes, slashes');

export const labels = z
  .record(labelName, labelValue)
  .refine((all) => Object.keys(all).length <= MAX_LABELS, `use at most ${MAX_LABELS} labels`)
  .meta({ id: 'Labels', example: { zone: 'lab-1' } });

/** Labels of a node: those of the operator, and those that the node declares under `node/`. */
export const nodeLabels = z.record(labelName, labelValue).meta({ id: 'NodeLabels', example: { zone: 'lab-1', 'node/gpu': 'a100' } });

const isOperators = (name: string): boolean => !name.startsWith(NODE_PREFIX);

/** Labels that an operator gives. */
export const operatorLabels = labels.refine(
  (all) => Object.keys(all).every(isOperators),
  `names that begin with ${NODE_PREFIX} are what nodes declare of themselves`,
);

/** Names of labels that an operator removes. */
export const operatorLabelNames = z
  .array(z.string().regex(LABEL_NAME).refine(isOperators, 'what a node declares goes when the node no longer declares it'))
  .max(MAX_LABELS);
