import { describe, expect, it } from '@jest/globals';
import { judgeUse, shortageOf, type Use } from './use';

const idle: Use = { cpus: 4, memoryMb: 8000, diskMb: 100_000, load1: 0.5, memoryFreeMb: 6000, diskFreeMb: 60_000, before: 0 };

describe('how used a node is', () => {
  it.each<[number, Partial<Use>]>([
    [0, {}],
    [1, { load1: 2.8 }],
    [2, { load1: 6 }],
    [1, { memoryFreeMb: 1999 }],
    [2, { memoryFreeMb: 799 }],
    [3, { memoryFreeMb: 255 }],
    [1, { diskFreeMb: 4095 }],
    [2, { diskFreeMb: 2047 }],
    [3, { diskFreeMb: 1023 }],
    [3, { load1: 0, diskFreeMb: 1500, before: 3 }],
    [2, { load1: 0, diskFreeMb: 1536, before: 3 }],
    [3, { memoryFreeMb: 383, before: 3 }],
    [2, { memoryFreeMb: 384, before: 3 }],
  ])('R5: is %i with %j', (band, change) => {
    expect(judgeUse({ ...idle, ...change })).toBe(band);
  });

  it('R5: a small machine is measured by its size', () => {
    const small = { ...idle, cpus: 1, memoryMb: 500, diskMb: 4000 };
    expect(judgeUse({ ...small, memoryFreeMb: 60, diskFreeMb: 900 })).toBe(1);
    expect(shortageOf({ ...small, memoryFreeMb: 60, diskFreeMb: 390 })).toBe(
      'too little free disk: 390 MB. It is leased again by itself with 600 MB',
    );
    expect(shortageOf({ ...small, memoryFreeMb: 40, diskFreeMb: 900 })).toBe(
      'too little free memory: 40 MB. It is leased again by itself with 75 MB',
    );
  });

  it('R5: one that says nothing is idle', () => {
    expect(
      judgeUse({ cpus: 1, memoryMb: 0, diskMb: undefined, load1: undefined, memoryFreeMb: undefined, diskFreeMb: undefined, before: 0 }),
    ).toBe(0);
    expect(judgeUse({ ...idle, memoryMb: 0, memoryFreeMb: 10 })).toBe(0);
  });
});
