/** Memory (MB) that weighs as much as one CPU in `fitOf`: the common shape of machines. */
const MEMORY_MB_PER_CPU = 2048;

/**
 * Returns the size of a node as one number, as the column `nodes.fit` does. If two nodes satisfy a request, the smaller one is the tighter
 * fit, for every request.
 */
export const fitOf = ({ cpus, memoryMb }: { cpus: number; memoryMb: number }): number => cpus * MEMORY_MB_PER_CPU + memoryMb;
