import { fitOf } from '../fit';
import type { Requirements } from '../types';
import { SHORT } from '../use';

/** Of nodes that may be leased now. */
export const LEASABLE = `leasable = 1 AND use_band < ${SHORT}`;

/** What a node must have, as conditions on its row. What is asked for fits into nothing smaller: that is where the index begins. */
export function requirementsSql({ cpus, memoryMb, labels }: Requirements): { sql: string; bindings: (string | number)[] } {
  const names = Object.keys(labels);
  return {
    sql: ['fit >= ? AND cpus >= ? AND memory_mb >= ?', ...names.map(() => 'JSON_VALUE(labels, ?) = ?')].join(' AND '),
    bindings: [fitOf({ cpus, memoryMb }), cpus, memoryMb, ...names.flatMap((name) => [`$."${name}"`, labels[name] ?? ''])],
  };
}
