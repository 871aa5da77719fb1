/** One CPU weighs as much as this much memory when what is left over is added up: the common shape of machines. */
const MEMORY_MB_PER_CPU = 2048;

/** How big a node is in one number, as the column `nodes.fit` has it: of two that satisfy, the smaller fits tighter, whatever was asked for. */
export const fitOf = ({ cpus, memoryMb }: { cpus: number; memoryMb: number }): number => cpus * MEMORY_MB_PER_CPU + memoryMb;
