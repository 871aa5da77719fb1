import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Candidate, rankCandidates, satisfies } from './choose';

const node = (id: number, change: Partial<Candidate> = {}): Candidate => ({ id, cpus: 2, memoryMb: 2048, labels: {}, useBand: 0, flappedLately: false, ...change });
const anything = { cpus: 1, memoryMb: 0, labels: {} };
const ids = (nodes: Candidate[]): number[] => nodes.map(({ id }) => id);

const labels = fc.dictionary(fc.constantFrom('zone', 'gpu', 'arch'), fc.constantFrom('a', 'b'), { maxKeys: 3 });
const candidate = fc.record({ id: fc.nat(), cpus: fc.integer({ min: 1, max: 64 }), memoryMb: fc.nat(65_536), labels, useBand: fc.constantFrom(0, 1, 2), flappedLately: fc.boolean() });
const wanted = fc.record({ cpus: fc.integer({ min: 1, max: 32 }), memoryMb: fc.nat(32_768), labels });

describe('whether a node satisfies what is asked for', () => {
  it('R5: at its limits it does, one below it does not', () => {
    const asked = { cpus: 2, memoryMb: 2048, labels: { zone: 'a' } };
    const fitting = node(1, { labels: { zone: 'a', more: 'x' } });
    expect(satisfies(fitting, asked)).toBe(true);
    expect(satisfies({ ...fitting, cpus: 1 }, asked)).toBe(false);
    expect(satisfies({ ...fitting, memoryMb: 2047 }, asked)).toBe(false);
    expect(satisfies({ ...fitting, labels: { zone: 'A' } }, asked)).toBe(false);
    expect(satisfies({ ...fitting, labels: {} }, asked)).toBe(false);
  });

  it('R5: labels that every object inherits are nobody\'s labels', () => {
    expect(satisfies(node(1), { ...anything, labels: { constructor: 'Object' } })).toBe(false);
  });
});

describe('ranking free nodes', () => {
  it('R5: what is left over decides, CPUs and memory weighed together', () => {
    const nodes = [node(1, { cpus: 16 }), node(2, { cpus: 4 }), node(3, { cpus: 2, memoryMb: 65_536 })];
    expect(ids(rankCandidates(nodes, { cpus: 2, memoryMb: 2048, labels: {} }, () => 0))).toEqual([2, 1, 3]);
  });

  it('R5: one that flapped lately comes after all that did not', () => {
    expect(ids(rankCandidates([node(1, { flappedLately: true, cpus: 1 }), node(2, { cpus: 64 })], anything, () => 0))).toEqual([2, 1]);
  });

  it('R13: ties are spread, so that not everybody reaches for the same machine', () => {
    const nodes = Array.from({ length: 10 }, (_, id) => node(id));
    const firsts = new Set(Array.from({ length: 200 }, () => rankCandidates(nodes, anything, Math.random)[0]?.id));
    expect(firsts.size).toBeGreaterThan(5);
  });

  it('R5, R45: of those that fit equally the idle one comes first, and one that fits more tightly before it', () => {
    const nodes = [node(1, { useBand: 2 }), node(2, { useBand: 1 }), node(3), node(4, { cpus: 1, useBand: 2 })];
    expect(ids(rankCandidates(nodes, anything, Math.random))).toEqual([4, 3, 2, 1]);
  });

  it('R5: gives exactly those that satisfy, in an order that nothing contradicts, and leaves the list as it was', () => {
    fc.assert(
      fc.property(fc.array(candidate, { maxLength: 30 }), wanted, (nodes, asked) => {
        const before = structuredClone(nodes);
        const ranked = rankCandidates(nodes, asked, Math.random);
        expect(nodes).toEqual(before);
        expect(new Set(ranked)).toEqual(new Set(nodes.filter((each) => satisfies(each, asked))));
        const left = ({ cpus, memoryMb }: Candidate): number => cpus + memoryMb / 2048;
        ranked.slice(1).forEach((each, n) => {
          const better = ranked[n] as Candidate;
          expect(Number(better.flappedLately)).toBeLessThanOrEqual(Number(each.flappedLately));
          if (better.flappedLately === each.flappedLately) {
            expect(left(better)).toBeLessThanOrEqual(left(each) + 1e-9);
          }
        });
      }),
    );
  });
});
