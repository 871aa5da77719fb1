import { fitOf } from '../choose';
import type { Requirements } from '../types';

/** What a node must have, as conditions on its row. What is asked for fits into nothing smaller: that is where the index begins. */
export function requirementsSql({ cpus, memoryMb, labels }: Requirements): { sql: string; bindings: (string | number)[] } {
  const names = Object.keys(labels);
  return {
    sql: ['fit >= ? AND cpus >= ? AND memory_mb >= ?', ...names.map(() => 'JSON_VALUE(labels, ?) = ?')].join(' AND '),
    bindings: [fitOf({ cpus, memoryMb }), cpus, memoryMb, ...names.flatMap((name) => [`$."${name}"`, labels[name] ?? ''])],
  };
}
