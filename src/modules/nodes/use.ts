/** How busy a node is: idle (0), busy (1), very busy (2), or too short of disk or memory to be leased (3). */
export type UseBand = 0 | 1 | 2 | 3;

/** Nodes in this band are not leased. */
export const SHORT: UseBand = 3;

/** The input of `judgeUse`. Undefined: the node does not report the value. */
export interface Use {
  cpus: number;
  /** Total memory of the node; 0: unknown. */
  memoryMb: number;
  diskMb: number | undefined;
  load1: number | undefined;
  memoryFreeMb: number | undefined;
  diskFreeMb: number | undefined;
  before: UseBand;
}

/** Load average of one minute for each CPU. */
const LOAD = { busy: 0.7, veryBusy: 1.5 };
/** Free memory as a fraction of the total. */
const MEMORY = { busy: 0.25, veryBusy: 0.1 };
/** Free disk as a multiple of its floor (`floorOf`). */
const DISK = { busy: 4, veryBusy: 2 };
/**
 * The floor of free disk and memory is the smaller of an absolute value and a share of the total. Less is too little for an account, its
 * processes and a wipe.
 */
const FLOOR = { megabytes: { disk: 1024, memory: 256 }, share: 0.1 };
/** A node that was too short is leased again with this multiple of the floor, so that its band does not change back and forth. */
const RETURN = 1.5;

const floorOf = (of: 'disk' | 'memory', total: number): number => Math.min(FLOOR.megabytes[of], total > 0 ? FLOOR.share * total : Infinity);

/** Returns what is missing, in words for the person who runs the node; null: nothing. Pure. */
export function shortageOf({
  memoryMb,
  diskMb,
  memoryFreeMb,
  diskFreeMb,
  before,
}: Pick<Use, 'memoryMb' | 'diskMb' | 'memoryFreeMb' | 'diskFreeMb' | 'before'>): string | null {
  const say = (of: 'disk' | 'memory', free: number | undefined, total: number): string | null => {
    const least = floorOf(of, total) * (before === SHORT ? RETURN : 1);
    return free !== undefined && free < least
      ? `too little free ${of}: ${free} MB. It is leased again by itself with ${Math.ceil(floorOf(of, total) * RETURN)} MB`
      : null;
  };
  return say('disk', diskFreeMb, diskMb ?? 0) ?? (memoryMb > 0 ? say('memory', memoryFreeMb, memoryMb) : null);
}

/** Returns the band of a node. Pure. */
export function judgeUse(use: Use): UseBand {
  if (shortageOf(use) !== null) {
    return SHORT;
  }
  const { cpus, memoryMb, diskMb, load1 = 0, memoryFreeMb = Infinity, diskFreeMb = Infinity } = use;
  const diskFloor = floorOf('disk', diskMb ?? 0);
  const isAtLeast = (level: 'busy' | 'veryBusy'): boolean =>
    load1 / cpus >= LOAD[level] || memoryFreeMb < MEMORY[level] * memoryMb || diskFreeMb < DISK[level] * diskFloor;
  if (isAtLeast('veryBusy')) {
    return 2;
  }
  return isAtLeast('busy') ? 1 : 0;
}
