import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { bytesOf, chainWith, nameOf, planNext, planTidying } from './chain';
import { judgeFinalBackup } from './final-backup';
import type { Archive } from './types';

const MIB = 2 ** 20;
const archive = (number: number, change: Partial<Archive> = {}): Archive => ({ number, full: false, generation: 1, bytes: MIB, ...change });
const full = archive(1, { full: true, bytes: 100 * MIB });
const here = { generation: 1, maxBytes: 1024 * MIB };

describe('the next archive', () => {
  it('is a full one at first, and then what changed since the last one', () => {
    expect(planNext([], here)).toEqual({ base: null, roomBytes: here.maxBytes });
    expect(planNext([full], here)).toEqual({ base: full, roomBytes: 924 * MIB });
    expect(planNext([full, archive(2)], here).base).toEqual(archive(2));
  });

  it.each<[string, Archive[], typeof here]>([
    ['on another node', [full], { ...here, generation: 2 }],
    ['after 24 others', [full, ...Array.from({ length: 24 }, (_, i) => archive(i + 2))], here],
    ['once the changes have outgrown the full one', [full, archive(2, { bytes: 101 * MIB })], here],
    ['when there is no room beside the others', [full], { ...here, maxBytes: 100 * MIB }],
  ])('is full again %s', (_when, chain, circumstances) => {
    expect(planNext(chain, circumstances)).toEqual({ base: null, roomBytes: circumstances.maxBytes });
  });

  it('whatever sizes come, what a restore takes begins with a full one of the same node, is bounded in number, and fits', () => {
    const attempts = fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 40 }), moves: fc.boolean() }), { maxLength: 80 });
    fc.assert(
      fc.property(attempts, (steps) => {
        let chain: Archive[] = [];
        let generation = 1;
        steps.forEach(({ bytes, moves }, number) => {
          generation += moves && number % 7 === 0 ? 1 : 0;
          const { base, roomBytes } = planNext(chain, { generation, maxBytes: 100 });
          // An archive that does not fit is not stored.
          chain = bytes > roomBytes ? chain : chainWith(chain, archive(number, { full: base === null, generation, bytes }));
          expect(chain.map((each) => each.full)).toEqual(chain.map((_, index) => index === 0));
          expect(new Set(chain.map((each) => each.generation)).size).toBeLessThanOrEqual(1);
          expect(bytesOf(chain)).toBeLessThanOrEqual(100);
          expect(chain.length).toBeLessThanOrEqual(25);
        });
      }),
    );
  });
});

describe('tidying', () => {
  it('removes what no restore takes, and nothing that was written later: whoever tidies may have been frozen for an hour', () => {
    const chain = [archive(5, { full: true }), archive(6)];
    const names = [archive(3, { full: true }), archive(5), ...chain, archive(7)].map(nameOf);
    expect(planTidying(names, { number: 6, chain })).toEqual([nameOf(archive(3, { full: true })), nameOf(archive(5))]);
  });
});

describe('a planned move', () => {
  it.each([
    ['ask', null, false],
    ['wait', 0, false],
    ['wait', 119, false],
    ['go', 121, false],
    ['go', 1, true],
    ['ask', 181, true],
  ] as const)('%s: wanted for %p s, tried since %p', (decision, wantedSeconds, tried) => {
    expect(judgeFinalBackup({ wantedSeconds, tried })).toBe(decision);
  });
});
