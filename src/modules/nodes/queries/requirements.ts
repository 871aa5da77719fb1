import { fitOf } from '../fit';
import type { Requirements } from '../types';
import { SHORT } from '../use';

/** SQL: the node may be leased now. */
export const LEASABLE = `leasable = 1 AND use_band < ${SHORT}`;

/**
 * Returns the requirements as conditions on a node's row. No node with a smaller `fit` can satisfy them, so the index scan starts at that
 * `fit`.
 */
export function requirementsSql({ cpus, memoryMb, labels }: Requirements): { sql: string; bindings: (string | number)[] } {
  const names = Object.keys(labels);
  return {
    sql: ['fit >= ? AND cpus >= ? AND memory_mb >= ?', ...names.map(() => 'JSON_VALUE(labels, ?) = ?')].join(' AND '),
    bindings: [fitOf({ cpus, memoryMb }), cpus, memoryMb, ...names.flatMap((name) => [`$."${name}"`, labels[name] ?? ''])],
  };
}
