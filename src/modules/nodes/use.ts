/** How used a node is: idle, busy, very busy, or too short of disk or memory to be leased. */
export type UseBand = 0 | 1 | 2 | 3;

/** Nodes in this band are not leased. */
export const SHORT: UseBand = 3;

/** What a band is judged from. Undefined: the node does not say. */
export interface Use {
  cpus: number;
  /** Of all that the node has; 0: unknown. */
  memoryMb: number;
  diskMb: number | undefined;
  load1: number | undefined;
  memoryFreeMb: number | undefined;
  diskFreeMb: number | undefined;
  before: UseBand;
}

/** Processes that want a CPU, for each CPU. */
const LOAD = { busy: 0.7, veryBusy: 1.5 };
/** Free memory as a part of all. */
const MEMORY = { busy: 0.25, veryBusy: 0.1 };
/** Times the floor. */
const DISK = { busy: 4, veryBusy: 2 };
/** Less than the smaller of the two is too little for an account, its processes and a wipe. */
const FLOOR = { megabytes: { disk: 1024, memory: 256 }, share: 0.1 };
/** A node that was too short comes back with so many times the floor, so that it does not come and go. */
const RETURN = 1.5;

const floorOf = (of: 'disk' | 'memory', total: number): number => Math.min(FLOOR.megabytes[of], total > 0 ? FLOOR.share * total : Infinity);

/** What is missing, in words for the node's owner; null: nothing. Pure. */
export function shortageOf({ memoryMb, diskMb, memoryFreeMb, diskFreeMb, before }: Pick<Use, 'memoryMb' | 'diskMb' | 'memoryFreeMb' | 'diskFreeMb' | 'before'>): string | null {
  const say = (of: 'disk' | 'memory', free: number | undefined, total: number): string | null => {
    const least = floorOf(of, total) * (before === SHORT ? RETURN : 1);
    return free !== undefined && free < least ? `too little free ${of}: ${free} MB. It is leased again by itself with ${Math.ceil(floorOf(of, total) * RETURN)} MB` : null;
  };
  return say('disk', diskFreeMb, diskMb ?? 0) ?? (memoryMb > 0 ? say('memory', memoryFreeMb, memoryMb) : null);
}

/** Pure. */
export function judgeUse(use: Use): UseBand {
  if (shortageOf(use) !== null) {
    return SHORT;
  }
  const { cpus, memoryMb, diskMb, load1 = 0, memoryFreeMb = Infinity, diskFreeMb = Infinity } = use;
  const diskFloor = floorOf('disk', diskMb ?? 0);
  const isAtLeast = (level: 'busy' | 'veryBusy'): boolean => load1 / cpus >= LOAD[level] || memoryFreeMb < MEMORY[level] * memoryMb || diskFreeMb < DISK[level] * diskFloor;
  if (isAtLeast('veryBusy')) {
    return 2;
  }
  return isAtLeast('busy') ? 1 : 0;
}
